import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { Verification } from '../../src/api/verify.js';
import { decodeModel, encodeModel } from '../../src/program/model.js';
import type { LinearOp } from '../../src/program/types.js';
import { sha256, withTensors } from '../attacks/rehash.js';
import { tinyModel } from '../program/tiny.js';
import { ivit, savePhoto, saveTinyOnnx, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();
const GOLDEN = path.join(import.meta.dirname, '../program/golden.ivit');

beforeAll(async () => {
  await saveTinyOnnx(folder.path('m.onnx'));
  // The folders are no classes of the model.
  for (const i of [0, 1, 2]) await savePhoto(folder.path('photos', i < 2 ? 'summer' : 'winter', `${i}.png`), i, 16);
  const flags = ['--images', 'photos', '--effort', 'fast', '-o', 'm.ivit'];
  await ivit(['quantize', 'm.onnx', ...flags], { cwd: folder.path() });
});

const run = (...args: string[]) => ivit(['verify', ...args], { cwd: folder.path() });

test('a sound model: the bits to spare of each op, the engines, the checks', async () => {
  const { code, stdout } = await run(GOLDEN);
  expect(code).toBe(0);
  expect(stdout).toMatch(/fc1 +linear +29 of 31 +49 of 63 +2/);
  expect(stdout).toMatch(/wasm simd128 +2 +the same/);
  for (const check of ['container', 'structure', 'no overflow', 'integers only', 'same everywhere'])
    expect(stdout).toMatch(new RegExp(`${check} +holds`));
});

test('against the float model, as JSON; wrong usage', async () => {
  const against = ['m.ivit', '--against', 'm.onnx', '--images', 'photos'];
  const { code, stdout } = await run(...against, '--json');
  expect(code).toBe(0);
  const { checks, agreement, ops } = JSON.parse(stdout) as Verification;
  expect(checks).toHaveLength(6);
  expect(agreement?.images).toBe(3);
  expect(ops[0]).toHaveProperty('spare');
  const other = await run('m.ivit', '--against', 'm.onnx', '--images', 'photos', '--min-agreement', '150%');
  expect(other.code).toBe(2);
  const alone = await run('m.ivit', '--against', 'm.onnx');
  expect(alone.stderr).toMatch(/--against needs --images/);
  expect(alone.code).toBe(2);
});

test('too little agreement ends with 4', async () => {
  const bytes = new Uint8Array(await readFile(folder.path('m.ivit')));
  const { program } = decodeModel(bytes, sha256);
  const head = program.ops[program.output - 1] as LinearOp;
  const limit = Math.max(...head.bias.map(Math.abs), 1000);
  // The class that the float model never chooses, and the lowest of all others.
  const other = withTensors(bytes, (tensors) => {
    const bias = tensors.get(`${head.name}.bias`) as Int32Array;
    bias.forEach((_, n) => (bias[n] = -100 * limit));
    (tensors.get(`${head.name}.multiplier`) as Int32Array).forEach((b, n, all) => (all[n] = -b));
  });
  await writeFile(folder.path('other.ivit'), other);
  const against = ['--against', 'm.onnx', '--images', 'photos', '--min-agreement', '1'];
  const { code, stdout, stderr } = await run('other.ivit', ...against);
  expect(stdout).toMatch(/agreement +FAILS/);
  expect(stderr).toMatch(/at least 100\.00 % are asked for/);
  expect(code).toBe(4);
});

test('a file that can overflow is refused, though its hash holds', async () => {
  const bytes = withTensors(encodeModel(tinyModel(), sha256), (tensors) => {
    (tensors.get('embed.bias') as Int32Array)[0] = 2 ** 31 - 1;
  });
  await writeFile(folder.path('bad.ivit'), bytes);
  const { code, stderr } = await run('bad.ivit');
  expect(stderr).toMatch(/"embed" \(linear\): the accumulator of channel 0 can reach/);
  expect(code).toBe(3);
});
