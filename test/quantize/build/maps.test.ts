import { describe, expect, test } from 'vitest';
import { importModel } from '../../../src/importer/index.js';
import { proveNoOverflow } from '../../../src/program/bounds.js';
import type { Op } from '../../../src/program/types.js';
import { validateProgram } from '../../../src/program/validate.js';
import { DEFAULT_OPTIONS, quantizeGraph, type QuantizeOptions } from '../../../src/quantize/index.js';
import { ints, random, writeModel, type TensorSpec } from '../../onnx/build.js';
import { nodesOf } from '../../onnx/graph-builder.js';
import { withStem } from '../../importer/idioms/stem.js';
import '../../build-kernels.js';

/** u8 pixels, 8×8×3. */
const images = Array.from({ length: 16 }, (_, i) => {
  let state = i + 1;
  return Uint8Array.from({ length: 192 }, () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24);
});

/** Quantizes a model that begins with a map `m` [1, 8, 8, 8] without negative values, and checks its program. */
async function quantized(
  steps: string,
  initializers: Readonly<Record<string, TensorSpec>>,
  options: Partial<QuantizeOptions> = {},
): Promise<{ readonly sqnrDb: number; readonly ops: readonly Op[] }> {
  const nodes = nodesOf(`
    stem = Conv(image, stem.weight; kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    m = Relu(stem)
    ${steps}
  `);
  const stem = random([8, 3, 3, 3], 5);
  const { graph } = await importModel(
    writeModel(withStem({ nodes, initializers: { 'stem.weight': stem, ...initializers } })),
  );
  const { program, agreement } = await quantizeGraph({
    graph,
    images,
    normalization: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
    options: { ...DEFAULT_OPTIONS, kernels: 'lut', ...options },
  });
  validateProgram(program);
  proveNoOverflow(program);
  return { sqnrDb: agreement.sqnrDb, ops: program.ops };
}

describe('integer ops over maps', () => {
  test('windows are laid out in quantized values, whose zero is where the map needs it', async () => {
    const { sqnrDb, ops } = await quantized('y = Conv(m, w, b; kernel_shape=[3, 3], pads=[1, 1, 1, 1])', {
      w: random([6, 8, 3, 3]),
      b: random([6], 2),
    });
    expect(sqnrDb).toBeGreaterThan(35);
    expect(ops.find(({ op }) => op === 'windows')).toMatchObject({ out: { type: 'u8', zero: 0 } });
    // The map is quantized once, as the activation writes it.
    expect(ops.filter(({ op, name }) => op === 'rescale' && !name.endsWith('.activation'))).toEqual([]);
  });

  test('sums of a depthwise convolution are shifted, not multiplied, to become results', async () => {
    const { ops } = await quantized('y = Conv(m, w, b; kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=8)', {
      w: random([8, 1, 3, 3]),
      b: random([8], 2),
    });
    const [made] = ops.filter((op) => op.op === 'depthwise');
    expect(Array.from(made.multiplier, (b) => Math.log2(b) % 1)).toEqual(new Array(8).fill(0));
  });

  test('windows of rows with scales of their own are quantized row by row', async () => {
    const step = 'y = Conv(m, w; kernel_shape=[3, 3], pads=[1, 1, 1, 1])';
    const { sqnrDb, ops } = await quantized(step, { w: random([6, 8, 3, 3]) }, { scales: 'dynamic' });
    expect(sqnrDb).toBeGreaterThan(30);
    expect(ops.find(({ op }) => op === 'windows')).toMatchObject({ out: { type: 'i32' } });
  });

  test('two layers over windows, one of them after a pool that keeps quantized values', async () => {
    const { sqnrDb, ops } = await quantized(
      `
        p = MaxPool(m; kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
        c = Conv(p, v; kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        g = Sigmoid(c)
        s = Mul(c, g)
        y = Conv(s, w; kernel_shape=[2, 2], strides=[2, 2])
      `,
      { v: random([12, 8, 3, 3]), w: random([6, 12, 2, 2], 2) },
    );
    expect(sqnrDb).toBeGreaterThan(30);
    expect(ops.find(({ op }) => op === 'maxPool')).toMatchObject({ out: { type: 'u8' } });
  });

  test.each<[string, string, Readonly<Record<string, TensorSpec>>]>([
    [
      'depthwise',
      'y = Conv(m, w, b; kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=8)',
      { w: random([8, 1, 3, 3]), b: random([8], 2) },
    ],
    ['mixRows', 'y = AveragePool(m; kernel_shape=[3, 3], pads=[1, 1, 1, 1])', {}],
    [
      'groupNorm',
      `
        r = Reshape(m, groups)
        i = InstanceNormalization(r, scale, shift)
        y = Reshape(i, whole)
      `,
      { groups: ints([1, 2, 256]), whole: ints([1, 8, 8, 8]), scale: random([2], 3), shift: random([2], 4) },
    ],
    ['maxPool', 'y = GlobalMaxPool(m)', {}],
    [
      'meanRows', // of more rows than 31 bits of a multiplier leave 64 bits for
      `
        big = Resize(m, , , sizes; mode="linear")
        y = GlobalAveragePool(big)
      `,
      { sizes: ints([1, 8, 40, 40]) },
    ],
  ])('%s', async (op, steps, initializers) => {
    const { sqnrDb, ops } = await quantized(steps, initializers);
    expect(sqnrDb).toBeGreaterThan(40);
    expect(ops.map((made) => made.op)).toContain(op);
  });
});
