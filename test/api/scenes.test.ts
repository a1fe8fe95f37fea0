import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Model, evaluate, quantize } from '../../src/index.js';
import type { QuantizeRequest } from '../../src/index.js';
import { REPOSITORY, temporaryFolder } from '../cli/ivit.js';

const folder = temporaryFolder();
const scenes = path.join(REPOSITORY, 'fixtures/scenes');
const float = path.join(scenes, 'scenes_vit.onnx');

/** Quantizes the trained fixture from its calibration images, and compares it with float on its test images. */
async function compared(
  name: string,
  request: QuantizeRequest,
  limit?: number,
): Promise<Record<'top1' | 'agreement' | 'kl' | 'sqnrDb' | 'integerTop1' | 'held', number>> {
  const { output, agreement } = await quantize(float, {
    images: path.join(scenes, 'calibration'),
    output: folder.path(`${name}.ivit`),
    ...request,
  });
  const model = await Model.load(output);
  const {
    images,
    top1,
    float: comparison,
  } = await evaluate(model, { dataset: path.join(scenes, 'test'), float, limit });
  await model.close();
  expect(images).toBeGreaterThanOrEqual(limit ?? 200);
  const { top1: floatTop1, agreement: decided, kl, sqnrDb } = comparison!;
  return { top1: floatTop1!, agreement: decided!, kl: kl!, sqnrDb, integerTop1: top1!, held: agreement.top1Agreement };
}

describe('the trained fixture: the integer model decides as the float model does', () => {
  test.each<[string, QuantizeRequest, agreement: number, kl: number]>([
    ['shift, static', {}, 0.98, 0.005],
    ['lut, static', { kernels: 'lut', effort: 'fast' }, 0.98, 0.005],
    ['lut, dynamic', { kernels: 'lut', scales: 'dynamic', effort: 'fast' }, 0.985, 0.003],
  ])('%s', async (name, request, agreement, kl) => {
    const figures = await compared(name, request);
    expect(figures.top1).toBeGreaterThan(0.8);
    expect(figures.held).toBeGreaterThanOrEqual(0.95);
    expect(Math.abs(figures.integerTop1 - figures.top1)).toBeLessThanOrEqual(0.01);
    expect(figures.agreement).toBeGreaterThanOrEqual(agreement);
    expect(figures.kl).toBeLessThan(kl);
  });
});

test('fewer bits a weight cost accuracy, step by step', async () => {
  // With static scales of few images, values beyond the calibrated ranges would hide what the weights lose.
  const sqnr: number[] = [];
  for (const weightBits of [8, 4] as const) {
    const figures = await compared(
      `${weightBits} bits`,
      { weightBits, kernels: 'lut', scales: 'dynamic', effort: 'fast', numImages: 48 },
      48,
    );
    sqnr.push(figures.sqnrDb);
  }
  const [eight, four] = sqnr;
  expect(eight).toBeGreaterThan(four + 7);
  expect(four).toBeGreaterThan(15);
  const shared = await compared(
    '4 bits on average',
    { target: { bits: 4 }, kernels: 'lut', scales: 'dynamic', effort: 'fast', numImages: 48 },
    48,
  );
  expect(shared.sqnrDb).toBeGreaterThan(four + 0.5);
});
