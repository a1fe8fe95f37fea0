import { describe, expect, test } from 'vitest';
import { syntheticImage } from '../../../src/images/synthetic/index.js';
import { proveBounds } from '../../../src/program/bounds.js';
import type { Op } from '../../../src/program/types.js';
import { validateProgram } from '../../../src/program/validate.js';
import {
  DEFAULT_OPTIONS,
  quantizeGraph,
  type QuantizeOptions,
  type QuantizeResult,
} from '../../../src/quantize/index.js';
import { tinyGraph } from '../../cli/ivit.js';

const images = Array.from({ length: 24 }, (_, i) => Uint8Array.from(syntheticImage(16, 16, i).data));

const quantized = (options: Partial<QuantizeOptions>): Promise<QuantizeResult> =>
  quantizeGraph({
    graph: tinyGraph(3),
    images,
    normalization: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    options: { ...DEFAULT_OPTIONS, ...options },
  });

const opsOf = <K extends Op['op']>({ program }: QuantizeResult, kind: K) =>
  program.ops.filter((op): op is Extract<Op, { op: K }> => op.op === kind);

/** A matrix product's input has one scale: what writes it has one multiplier, but for the norms' own weights. */
const scalesOf = (result: QuantizeResult): number =>
  Math.max(...[...opsOf(result, 'attention'), ...opsOf(result, 'ibertGelu')].map((op) => new Set(op.multiplier).size));

describe('--kernels ibert', () => {
  test('every activation and softmax is I-BERT’s, fitted', async () => {
    const result = await quantized({ kernels: 'ibert' });
    expect(opsOf(result, 'activation')).toHaveLength(0);
    expect(opsOf(result, 'ibertGelu').length).toBeGreaterThan(0);
    for (const { softmax } of opsOf(result, 'attention')) expect(softmax).toEqual({ kind: 'ibert', bits: 16 });
    expect(scalesOf(result)).toBeGreaterThan(1);
    validateProgram(result.program);
    expect(proveBounds(result.program)).toHaveLength(result.program.ops.length);
    expect(result.agreement.sqnrDb).toBeGreaterThan(20);
  });

  test('--effort none fits nothing: one scale a tensor, the same kernels', async () => {
    const [plain, fitted] = [
      await quantized({ kernels: 'ibert', effort: 'none' }),
      await quantized({ kernels: 'ibert', effort: 'fast' }),
    ];
    for (const { softmax } of opsOf(plain, 'attention')) expect(softmax).toEqual({ kind: 'ibert', bits: 16 });
    expect(scalesOf(plain)).toBe(1);
    // No rows get layers of their own.
    expect(opsOf(plain, 'linear').length).toBeLessThan(opsOf(fitted, 'linear').length);
    expect(plain.agreement.sqnrDb).toBeGreaterThan(10);
    expect(plain.agreement.sqnrDb).toBeLessThan(fitted.agreement.sqnrDb);
  });
});

test('--kernels paper is never fitted, whatever the effort', async () => {
  const results = [await quantized({ kernels: 'paper' }), await quantized({ kernels: 'paper', effort: 'none' })];
  expect(results[0].program).toEqual(results[1].program);
});
