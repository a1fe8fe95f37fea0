import { readFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { peerContender } from '../../src/bench/peer.js';
import { InputError, UsageError } from '../../src/errors.js';
import { temporaryFolder } from '../cli/ivit.js';

const folder = temporaryFolder();
const node = (script: string): string => `"${process.execPath}" -e "${script}"`;
/** Answers each line, and counts them in its exit code. */
const ECHO = node("require('readline').createInterface({ input: process.stdin }).on('line', console.log)");

test('each run is a line there and a line back', async () => {
  const peer = await peerContender(ECHO);
  expect(peer).toMatchObject({ runtime: ECHO, precision: 'peer', threads: null, sqnrDb: null });
  await peer.run();
  await peer.runMany(5);
  await peer.close();
});

test('one that ends is named, with its last words', async () => {
  const failing = peerContender(node("console.error('no such model'); process.exit(4)"));
  await expect(failing).rejects.toThrow(InputError);
  await expect(peerContender(node("console.error('no such model'); process.exit(4)"))).rejects.toThrow(
    /ended with exit code 4: no such model\. It must write one line/,
  );
  await expect(peerContender(' ')).rejects.toThrow(UsageError);
});

test('one that ends between runs is told by the next', async () => {
  const once = "process.stdin.once('data', () => { console.log('done'); setTimeout(() => process.exit(0), 100); })";
  const peer = await peerContender(node(once));
  await expect(peer.run()).rejects.toThrow(/ended with exit code 0/);
  await peer.close();
});

test('one that does not end with its input is killed, and not its shell alone', async () => {
  const pidFile = folder.path('pid');
  const stubborn =
    `require('fs').writeFileSync('${pidFile}', String(process.pid)); ` +
    "process.stdin.on('data', () => console.log('x')); setInterval(() => {}, 1000)";
  // A second command keeps the shell from becoming the first one.
  const peer = await peerContender(`${node(stubborn)}; true`);
  const pid = Number(readFileSync(pidFile, 'utf8'));
  expect(() => process.kill(pid, 0)).not.toThrow();
  await peer.close();
  await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow(/ESRCH/), { timeout: 5000 });
});
