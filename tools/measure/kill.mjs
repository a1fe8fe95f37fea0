/**
 * Kills `ivit quantize` and `ivit eval` at random moments, and looks at what is left: the output is the old file or the
 * whole new one, and the next run finds nothing in its way.
 *
 *   node tools/measure/kill.mjs [times] [seed]
 */
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { root } from '../prepare.mjs';

const times = Number(process.argv[2] ?? 50);
let state = Number(process.argv[3] ?? 1);
const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;

const folder = mkdtempSync(join(tmpdir(), 'ivit-kill-'));
const cli = join(root, 'bin/ivit.js');
const zoo = join(root, 'fixtures/zoo');
const run = (...args) => spawnSync(process.execPath, [cli, ...args], { cwd: folder, encoding: 'utf8' });

writeFileSync(join(folder, 'm.onnx'), gunzipSync(readFileSync(join(zoo, 'timm_ts_opset17.onnx.gz'))));
for (const name of ['0', '1']) {
  mkdirSync(join(folder, 'set', name), { recursive: true });
  for (let i = 0; i < 20; i++) copyFileSync(join(zoo, 'timm_ts_opset17.png'), join(folder, 'set', name, `${i}.png`));
}

const commands = {
  quantize: { args: ['quantize', 'm.onnx', '--images', 'set', '--effort', 'fast', '-o', 'o.ivit'], output: 'o.ivit' },
  eval: { args: ['eval', '-m', 'o.ivit', '--dataset', 'set', '--predictions', 'p.csv'], output: 'p.csv' },
};

/** @returns whether it was still running */
function killAfter(args, ms) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [cli, ...args], { cwd: folder, stdio: 'ignore' });
    const timer = setTimeout(() => child.kill('SIGKILL'), ms);
    child.on('exit', (_, signal) => {
      clearTimeout(timer);
      resolve(signal === 'SIGKILL');
    });
  });
}

let failures = 0;
try {
  for (const [name, { args, output }] of Object.entries(commands)) {
    const start = performance.now();
    const first = run(...args);
    if (first.status !== 0) throw new Error(first.stderr);
    const whole = performance.now() - start;
    const expected = readFileSync(join(folder, output));
    let killed = 0;
    for (let i = 0; i < times; i++) {
      if (await killAfter(args, random() * whole)) killed++;
      // The same command writes the same bytes: old and new are equal, and anything else is a part of a file.
      if (!readFileSync(join(folder, output)).equals(expected)) failures++;
    }
    const again = run(...args);
    if (again.status !== 0 || !readFileSync(join(folder, output)).equals(expected)) failures++;
    const left = readdirSync(folder).filter((file) => !['m.onnx', 'set', 'o.ivit', 'p.csv'].includes(file));
    const rest = left.join(' ') || 'nothing';
    process.stdout.write(`${name}: ${killed} of ${times} killed, ${failures} outputs damaged, left: ${rest}\n`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failures > 0 ? 1 : 0;
