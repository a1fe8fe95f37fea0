/** Ctrl-C ends a quantization at once, whichever ONNX Runtime computes, and leaves nothing behind. */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { REPOSITORY, temporaryFolder } from '../cli/ivit.js';
import { installPackage } from './install.js';

const SCENES = path.join(REPOSITORY, 'fixtures/scenes');
/** Long enough that calibration has begun, and short enough that it goes on. */
const BEFORE_SIGNAL = 1500;

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
  setTimeout(() => {
    sent = performance.now();
    child.kill(signal);
  }, BEFORE_SIGNAL);
  expect(await new Promise((resolve) => child.on('close', resolve))).toBe(code);
  expect(performance.now() - sent).toBeLessThan(3000);
  expect(readdirSync(output)).toEqual([]);
});
