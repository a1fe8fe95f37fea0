import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { InputError, quantize } from '../../src/index.js';
import type { QuantizeRequest } from '../../src/index.js';
import { Random } from '../../src/images/random.js';
import { REPOSITORY, ivit, savePhoto, saveTinyOnnx, temporaryFolder } from '../cli/ivit.js';

const folder = temporaryFolder();
const model = (): string => folder.path('model.onnx');
const output = (): string => folder.path('out.ivit');
const left = (): string => `${output()}.resume`;
const request = (): QuantizeRequest => ({
  ...{ output: output(), images: folder.path('photos'), threads: 1, resume: true },
});

let whole: Buffer;

beforeAll(async () => {
  await saveTinyOnnx(model());
  for (let i = 0; i < 20; i++) await savePhoto(folder.path('photos', `${i}.png`), i);
  await quantize(model(), { ...request(), resume: false, output: folder.path('whole.ivit') });
  whole = readFileSync(folder.path('whole.ivit'));
});

/** Quantizes until a stage has gone on to `done`, and gives up there. */
async function giveUp(stage: string, done: number, more: QuantizeRequest = {}): Promise<void> {
  const controller = new AbortController();
  const onProgress = (now: string, at: number): void => {
    if (now === stage && at >= done) controller.abort(new Error('given up'));
  };
  const run = quantize(model(), { ...request(), ...more, onProgress, signal: controller.signal });
  await expect(run).rejects.toThrow('given up');
}

/** Goes on; @returns the stages that told of progress */
async function goOn(): Promise<Set<string>> {
  const stages = new Set<string>();
  await quantize(model(), { ...request(), onProgress: (stage) => stages.add(stage) });
  expect(readFileSync(output()).equals(whole)).toBe(true);
  expect(existsSync(left())).toBe(false);
  rmSync(output());
  return stages;
}

describe('quantize with resume', () => {
  test('nothing to go on from: the same bytes, and nothing left', async () => {
    expect(await goOn()).toContain('calibrate');
  });

  test.each([
    ['calibrate', 3, true, true],
    ['sensitivity', 1, false, true],
    ['quantize', 1, false, false],
    ['quantize', 9, false, false],
    ['quantize', 17, false, false],
  ] as const)('given up in stage %s at %i: it goes on from there', async (stage, done, calibrates, measures) => {
    await giveUp(stage, done);
    expect(existsSync(output())).toBe(false);
    const stages = await goOn();
    expect([stages.has('calibrate'), stages.has('sensitivity')]).toEqual([calibrates, measures]);
  });

  test('cut off anywhere, as a kill does: the same bytes', async () => {
    await giveUp('quantize', 17);
    const kept = folder.path('kept');
    copyFileSync(left(), kept);
    const random = new Random(1);
    const { size } = statSync(kept);
    for (const length of [0, 1, 40, size - 1, ...Array.from({ length: 6 }, () => random.integer(size))]) {
      copyFileSync(kept, left());
      truncateSync(left(), length);
      await goOn();
    }
  });

  test('damaged: what comes after it is done again', async () => {
    await giveUp('quantize', 17);
    const bytes = readFileSync(left());
    bytes[Math.floor(bytes.length / 2)]! ^= 1;
    writeFileSync(left(), bytes);
    await goOn();
  });

  test('refused where the model, the images or the settings are others, with the reason', async () => {
    await giveUp('quantize', 5);
    const refused = (file: string, more: QuantizeRequest) =>
      expect(quantize(file, { ...request(), ...more })).rejects.toThrow;
    await refused(model(), { kernels: 'lut' })(/out\.ivit\.resume is of a killed run with other settings/);
    await refused(model(), { weightBits: 4 })(InputError);
    await refused(model(), { numImages: 12 })(/with other calibration images/);
    await refused(model(), { preprocess: { preset: 'clip' } })(/with another pre-processing/);
    await saveTinyOnnx(folder.path('other.onnx'), 2);
    await refused(folder.path('other.onnx'), {})(/with another model/);
    expect(existsSync(output())).toBe(false);
    await goOn();
  });

  test('a file of another kind in its place is not touched', async () => {
    writeFileSync(left(), 'my notes');
    await expect(quantize(model(), request())).rejects.toThrow(/out\.ivit\.resume is there already and is no killed/);
    expect(readFileSync(left(), 'utf8')).toBe('my notes');
    rmSync(left());
  });

  test('without it, what a killed run left is told of and stays', async () => {
    await giveUp('sensitivity', 1);
    const notices: string[] = [];
    await quantize(model(), { ...request(), resume: false, onNotice: (text) => notices.push(text) });
    expect(notices).toContainEqual(expect.stringMatching(/out\.ivit\.resume is left of a killed run/));
    rmSync(output());
    await goOn();
  });
});

test('ivit quantize --resume, killed once something is kept', async () => {
  const args = ['quantize', 'model.onnx', '-o', 'out.ivit', '--images', 'photos', '--threads', '1', '--resume'];
  const child = spawn(process.execPath, [path.join(REPOSITORY, 'bin/ivit.js'), ...args], { cwd: folder.path() });
  const ended = new Promise((resolve) => child.on('close', resolve));
  const isKept = (): boolean => (statSync(left(), { throwIfNoEntry: false })?.size ?? 0) > 1000;
  while (child.exitCode === null && !isKept()) await sleep(1);
  child.kill('SIGKILL');
  await ended;
  const wasKilled = existsSync(left());
  const { code, stderr } = await ivit(args, { cwd: folder.path() });
  expect(code, stderr).toBe(0);
  if (wasKilled) expect(stderr).toContain('Going on where a killed run ended');
  expect(readFileSync(output()).equals(whole)).toBe(true);
  expect(existsSync(left())).toBe(false);
});
