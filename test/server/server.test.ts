import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { BodyReader } from '../../src/server/body.js';
import { filesOf } from '../../src/server/files.js';
import { Gate } from '../../src/server/gate.js';
import { listen, type Limits, type Listening } from '../../src/server/server.js';

/** For tests of clients that are slow on purpose: a busy machine stands still for a second at times. */
const SHORT: Limits = { headMs: 2000, requestMs: 3000, idleMs: 6000, connections: 20 };
const ONE = 1000;

let folder: string;
let listening: Listening | undefined;
const faults: unknown[] = [];
const sockets: Socket[] = [];

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ivit-server-'));
  writeFileSync(path.join(folder, 'index.html'), '<!doctype html>');
  writeFileSync(path.join(folder, 'empty.txt'), '');
  writeFileSync(path.join(folder, 'secret.d.ts'), '');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await listening?.close();
  listening = undefined;
});

/** Answers with the length of what is posted, a few at a time. */
async function start(limits?: Limits, work: () => Promise<void> = async () => undefined): Promise<Listening> {
  const bodies = new BodyReader({ one: ONE, all: 4 * ONE });
  const gate = new Gate({ running: 1, waiting: 2, waitMs: 2000 });
  const posts = new Map([
    [
      '/length',
      (request: Parameters<typeof bodies.with>[0]) =>
        bodies.with(request, (body) =>
          gate.run(async () => {
            await work();
            if (body[0] === 0x21) throw new Error('a fault');
            return { length: body.length };
          }),
        ),
    ],
  ]);
  faults.length = 0;
  const site = { files: filesOf(folder), posts, onFault: (error: unknown) => faults.push(error) };
  return (listening = await listen(site, { host: '127.0.0.1', port: 0 }, limits));
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

function ask(
  address: string,
  options: { method?: string; headers?: Record<string, string>; body?: Uint8Array } = {},
): Promise<Answer> {
  const { method = options.body === undefined ? 'GET' : 'POST', headers, body } = options;
  return new Promise((resolve, reject) => {
    const request = httpRequest(listening!.url + address, { method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Sends text as it is, and gives all that comes back until the connection ends. */
function raw(...parts: string[]): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(listening!.port, '127.0.0.1');
    sockets.push(socket);
    socket.setEncoding('utf8').on('data', (part: string) => (text += part));
    socket.on('error', () => undefined).on('close', () => resolve(text));
    for (const part of parts) socket.write(part);
  });
}

const BYTES = new Uint8Array(10);

test('files have types and the headers that isolate a page; nothing else of the disk is reached', async () => {
  await start();
  const { status, headers, text } = await ask('');
  expect([status, text]).toEqual([200, '<!doctype html>']);
  expect(headers).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
    'x-content-type-options': 'nosniff',
    'content-security-policy': expect.stringMatching(/^default-src 'none'/),
  });
  expect((await ask('', { method: 'HEAD' })).headers['content-length']).toBe('15');
  expect(await ask('empty.txt')).toMatchObject({ status: 200, text: '' });
  for (const address of ['secret.d.ts', 'none', '../package.json', '%2e%2e/package.json', '..%2fpackage.json'])
    expect((await ask(address)).status, address).toBe(404);
  expect(await ask('', { method: 'POST' })).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
  expect(await ask('length')).toMatchObject({ status: 405, headers: { allow: 'POST' } });
});

test('on loopback, other names than its own and other sites are refused', async () => {
  await start();
  const { port } = listening!;
  for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, '[::1]', 'LOCALHOST'])
    expect((await ask('', { headers: { host } })).status, host).toBe(200);
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'x:y:z',
  ])
    expect((await ask('', { headers: { host } })).status, host).toBe(421);
  const post = (headers: Record<string, string>) => ask('length', { body: BYTES, headers });
  expect(await post({})).toMatchObject({ status: 200, text: '{"length":10}\n' });
  expect((await post({ origin: `http://127.0.0.1:${port}` })).status).toBe(200);
  for (const origin of ['https://evil.example', 'null', `http://localhost:${port + 1}`])
    expect((await post({ origin })).status, origin).toBe(403);
});

test('bodies are bounded, announced or not', async () => {
  await start(SHORT);
  expect((await ask('length', { body: new Uint8Array(ONE) })).text).toBe(`{"length":${ONE}}\n`);
  expect((await ask('length', { body: new Uint8Array(ONE + 1) })).status).toBe(413);
  const chunk = `${(600).toString(16)}\r\n${'x'.repeat(600)}\r\n`;
  const head = 'POST /length HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n';
  expect(await raw(head, chunk, chunk)).toMatch(/^HTTP\/1.1 413 /);
  // A length that is announced and does not come takes no room.
  const waiting = raw(`POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${ONE}\r\n\r\n`);
  expect((await ask('length', { body: BYTES })).status).toBe(200);
  expect(await waiting).toMatch(/^HTTP\/1.1 408 /);
  expect(faults).toEqual([]);
});

test('few run at a time, some wait, the others are sent away', async () => {
  let [running, most, refused] = [0, 0, 0];
  const refusals = async (count: number): Promise<void> => {
    while (refused < count) await setTimeout(1);
  };
  let begun = 0;
  await start(undefined, async () => {
    most = Math.max(most, ++running);
    // One runs until those without a place are sent away, the next until the last has waited for too long.
    await refusals(begun++ === 0 ? 3 : 4);
    running--;
  });
  const counted = async (): Promise<Answer> => {
    const answer = await ask('length', { body: BYTES });
    if (answer.status === 503) refused++;
    return answer;
  };
  const answers = await Promise.all(Array.from({ length: 6 }, counted));
  const count = (status: number): number => answers.filter((one) => one.status === status).length;
  expect([most, count(200), count(503)]).toEqual([1, 2, 4]);
  expect(answers.find(({ status }) => status === 503)!.headers['retry-after']).toBe('1');
  expect((await ask('length', { body: BYTES })).status).toBe(200);
});

test('what is no HTTP is refused, what is slow is ended, and others are answered meanwhile', async () => {
  await start(SHORT);
  const malformed = ['\x16\x03\x01\x02\x00\x01', 'GET\r\n\r\n', `GET / HTTP/1.1\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`];
  for (const text of malformed) expect(await raw(text)).toMatch(/^HTTP\/1.1 4(00|31) /);
  expect(await raw('GET http://[ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /);
  const slow = Array.from({ length: 15 }, () => raw('GET / HTTP/1.1\r\nHost: local'));
  expect((await ask('')).status).toBe(200);
  for (const text of await Promise.all(slow)) expect(text).toMatch(/^HTTP\/1.1 408 /);
  // A body that ends too early.
  const socket = connect(listening!.port, '127.0.0.1');
  await new Promise<void>((resolve) => {
    socket.write('POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc', () => resolve());
  });
  socket.destroy();
  expect((await ask('length', { body: BYTES })).status).toBe(200);
  expect(faults).toEqual([]);
});

test('connections beyond the limit are dropped, and room comes again', async () => {
  await start(SHORT);
  const slow = Array.from({ length: SHORT.connections + 5 }, () => raw('GET / HTTP/1.1\r\n'));
  const ended = await Promise.all(slow);
  expect(ended.filter((text) => text === '').length).toBeGreaterThanOrEqual(5);
  expect((await ask('')).status).toBe(200);
});

test('what fails inside is told to the server alone', async () => {
  await start();
  const answer = await ask('length', { body: Buffer.from('!') });
  expect(answer).toMatchObject({ status: 500, text: '{"error":"Something failed here"}\n' });
  expect(faults.map(String)).toEqual(['Error: a fault']);
});

test('a port that is taken, an address that is not here', async () => {
  const { port } = await start();
  const site = { files: new Map(), posts: new Map(), onFault: () => undefined };
  await expect(listen(site, { host: '127.0.0.1', port })).rejects.toThrow(
    `Cannot listen on 127.0.0.1, port ${port}: the port is in use; choose another with --port`,
  );
  await expect(listen(site, { host: '192.0.2.1', port: 0 })).rejects.toThrow('192.0.2.1 is no address of this machine');
  await expect(listen(site, { host: '[::1]', port: 0 })).rejects.toThrow(
    'nothing is known of [::1]; --host takes a name',
  );
});

test('all addresses: the page is named by one that reaches it', async () => {
  const site = { files: filesOf(folder), posts: new Map(), onFault: () => undefined };
  listening = await listen(site, { host: '0.0.0.0', port: 0 });
  const { url, port, isLocal } = listening;
  expect({ url, isLocal }).toEqual({ url: `http://127.0.0.1:${port}/`, isLocal: false });
});
