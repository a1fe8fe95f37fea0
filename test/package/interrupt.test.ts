/** Ctrl-C ends a quantization at once, whichever ONNX Runtime computes, and leaves nothing behind. */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { REPOSITORY, temporaryFolder } from '../cli/ivit.js';
import { installPackage } from './install.js';

const SCENES = path.join(REPOSITORY, 'fixtures/scenes');
/** Far less than the rest of the work takes where nobody hears the signal, and far more than a busy machine does. */
const AT_ONCE = 10_000;

const folder = temporaryFolder();

test.each([
  ['onnxruntime-node', 'SIGINT', 130],
  ['onnxruntime-web', 'SIGINT', 130],
  ['onnxruntime-web', 'SIGTERM', 143],
] as const)('%s, %s', async (runtime, signal, code) => {
  const name = `${runtime} ${signal}`;
  const executable = installPackage(folder.path(name), {
    extras: runtime === 'onnxruntime-node' ? [runtime] : [],
  });
  const output = folder.path(name, 'output');
  mkdirSync(output);
  const options = ['--images', path.join(SCENES, 'calibration'), '-o', path.join(output, 'scenes.ivit')];
  const child = spawn(process.execPath, [executable, 'quantize', path.join(SCENES, 'scenes_vit.onnx'), ...options]);
  let sent = 0;
  // The first word on progress comes when work has begun, with seconds of it left.
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (sent > 0 || !text.includes('progress:')) return;
    sent = performance.now();
    child.kill(signal);
  });
  expect(await new Promise((resolve) => child.on('close', resolve))).toBe(code);
  expect(performance.now() - sent).toBeLessThan(AT_ONCE);
  expect(readdirSync(output)).toEqual([]);
});
