import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ServedResult } from '../../src/api/serve.js';
import { GOLDEN_DIGESTS, SCENES, SCENES_MODEL } from '../scenes.js';
import { REPOSITORY, ivit, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();
const [FIRST, DIGEST] = Object.entries(GOLDEN_DIGESTS)[0];
const image = (name: string): Buffer => readFileSync(path.join(SCENES, 'test', name));

interface Server {
  readonly url: string;
  readonly child: ChildProcess;
  readonly info: Record<string, unknown>;
  stderr(): string;
}

const children: ChildProcess[] = [];

/** `ivit serve` on a port of its own. */
function start(args: readonly string[]): Promise<Server> {
  const child = spawn(
    process.execPath,
    ['--max-old-space-size=500', path.join(REPOSITORY, 'bin/ivit.js'), 'serve', '--port', '0', '--json', ...args],
    { cwd: folder.path(), env: { ...process.env, IVIT_MODEL: '' } },
  );
  children.push(child);
  let [stdout, stderr] = ['', ''];
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on('exit', (code) => reject(new Error(`ivit serve ended with ${code}: ${stderr}`)));
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      if (!stdout.endsWith('}\n')) return;
      const info = JSON.parse(stdout) as Record<string, unknown>;
      resolve({ url: String(info.url), child, info, stderr: () => stderr });
    });
  });
}

let server: Server;
beforeAll(async () => {
  server = await start([SCENES_MODEL, '--threads', '2']);
});
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
});

async function post(
  body: Uint8Array,
  query = '',
): Promise<{ status: number; json: ServedResult & { error?: string } }> {
  const response = await fetch(`${server.url}infer${query}`, { method: 'POST', body: Buffer.from(body) });
  return { status: response.status, json: (await response.json()) as ServedResult & { error?: string } };
}

test('POST /infer gives what ivit infer gives', async () => {
  const { status, json } = await post(image(FIRST));
  expect(status).toBe(200);
  const told = await ivit(['infer', path.join(SCENES, 'test', FIRST), '-m', SCENES_MODEL, '--digest', '--json']);
  const [{ predictions, digest }] = JSON.parse(told.stdout) as ServedResult[];
  expect(json).toMatchObject({ predictions, digest, model: server.info.hash, warnings: [] });
  expect(json.digest).toBe(DIGEST);
  expect(json.ms).toBeGreaterThan(0);
  expect((await post(image(FIRST), '?top=2')).json.predictions).toEqual(predictions.slice(0, 2));
  const both = await Promise.all(Object.keys(GOLDEN_DIGESTS).map((name) => post(image(name))));
  expect(both.map((one) => one.json.digest)).toEqual(Object.values(GOLDEN_DIGESTS));
});

test('the page and the model are served, and nothing else', async () => {
  const model = await fetch(`${server.url}model.ivit`);
  expect(Buffer.from(await model.arrayBuffer()).equals(readFileSync(SCENES_MODEL))).toBe(true);
  const engine = await fetch(`${server.url}index.js`);
  expect([engine.status, engine.headers.get('content-type')]).toEqual([200, 'text/javascript; charset=utf-8']);
  expect((await fetch(`${server.url}package.json`)).status).toBe(404);
});

test('what is no image, is damaged, is too large or is a form is refused with the reason', async () => {
  const whole = image(FIRST);
  const refused = async (body: Uint8Array, reason: RegExp, status = 422, query = ''): Promise<void> => {
    const answer = await post(body, query);
    expect([answer.status, answer.json.error]).toEqual([status, expect.stringMatching(reason)]);
  };
  await refused(Buffer.from('no image'), /^Cannot decode the body: not an image/);
  await refused(new Uint8Array(0), /empty/);
  await refused(whole.subarray(0, whole.length / 2), /^Cannot decode the body: /);
  await refused(new Uint8Array(33 * 2 ** 20), /more than 33554432 bytes/, 413);
  await refused(whole, /top must be/, 400, '?top=0');
  for (const query of ['?Top=3', '?top=2&top=3']) await refused(whole, /nothing else/, 400, query);
  const bomb = await sharp({ create: { width: 8000, height: 8000, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
  await refused(bomb, /more than 50000000 pixels/);
  const form = new FormData();
  form.set('file', new Blob([new Uint8Array(whole)]));
  expect((await fetch(`${server.url}infer`, { method: 'POST', body: form })).status).toBe(415);
  const packed = { method: 'POST', body: Buffer.from(whole), headers: { 'content-encoding': 'gzip' } };
  expect((await fetch(`${server.url}infer`, packed)).status).toBe(415);
});

const rss = ({ child }: Server): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))![1]) / 1024;

test.skipIf(process.platform !== 'linux')('memory stays flat under many, huge, broken and slow requests', async () => {
  const attack = async (): Promise<void> => {
    const huge = new Uint8Array(30 * 2 ** 20);
    await Promise.all(Array.from({ length: 6 }, () => post(huge).catch(() => undefined)));
    await Promise.all(Array.from({ length: 40 }, () => post(image(FIRST)).catch(() => undefined)));
    const { port } = new URL(server.url);
    const slow = Array.from({ length: 100 }, (_, i) => {
      const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined);
      socket.write(
        i % 2 ? 'POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30000000\r\n\r\nabc' : 'GET / HT',
      );
      return socket;
    });
    expect((await post(image(FIRST))).json.digest).toBe(DIGEST);
    for (const socket of slow) socket.destroy();
  };
  await attack();
  const before = rss(server);
  for (let i = 0; i < 3; i++) await attack();
  // What is held for bodies, 128 MB at most, comes and goes, and as much may wait for the garbage collector.
  expect(rss(server) - before, `${before} MB before`).toBeLessThan(260);
  expect((await post(image(FIRST))).json.digest).toBe(DIGEST);
  expect(server.stderr()).not.toMatch(/error|failed/i);
});

test('a port that is taken ends with code 3, and says what to do', async () => {
  const { port } = new URL(server.url);
  const { code, stdout, stderr } = await ivit(['serve', SCENES_MODEL, '--port', port]);
  expect([code, stdout]).toEqual([3, '']);
  expect(stderr).toMatch(
    /^(note: .*\n)*error: Cannot listen on 127.0.0.1, port \d+: the port is in use; choose another/,
  );
});

test('arguments are checked', async () => {
  expect(await ivit(['serve', '--port', '65536'])).toMatchObject({ code: 2, stderr: expect.stringMatching(/--port/) });
  expect(await ivit(['serve', 'none.ivit', '--port', '0'])).toMatchObject({ code: 3 });
});

test('without a model the page alone is served; the only model of the folder is found', async () => {
  const alone = await start([]);
  expect(alone.stderr()).toMatch(/^note: There is no .ivit file in this folder/);
  expect(alone.info).toMatchObject({ model: null });
  expect((await fetch(`${alone.url}infer`, { method: 'POST', body: 'x' })).status).toBe(404);
  expect((await fetch(`${alone.url}model.ivit`)).status).toBe(404);
  await copyFile(SCENES_MODEL, folder.path('only.ivit'));
  const found = await start(['--backend', 'wasm']);
  expect(found.info).toMatchObject({ model: 'only.ivit', backend: 'wasm' });
});
