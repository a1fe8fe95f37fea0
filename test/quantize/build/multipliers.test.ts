import { describe, expect, test } from 'vitest';
import { encodeFactorsAndOffsets } from '../../../src/quantize/build/multipliers.js';

describe('factors and offsets as integers', () => {
  /** x·factor + offset, as the integers give it. */
  const applied = (x: number, factor: number, offset: number): number => {
    const { multiplier, shift, offset: added } = encodeFactorsAndOffsets([factor], Float64Array.of(offset), 'layer');
    const sum = BigInt(x) * BigInt(multiplier[0]) + added[0];
    expect(BigInt.asIntN(64, sum)).toBe(sum);
    return Number(sum) / 2 ** shift;
  };

  test.each([
    [0.25, 3.5],
    [1e-12, 512],
    [1e-12, -(2 ** 26)],
    [1e-5, 2 ** 26],
    [40, -1000],
  ])('%f·x + %f', (factor, offset) => {
    for (const x of [0, 1000, -(2 ** 31) + 1, 2 ** 31 - 1]) {
      const wanted = x * factor + offset;
      expect(Math.abs(applied(x, factor, offset) - wanted)).toBeLessThan(1e-6 * Math.abs(wanted) + 1e-3);
    }
  });

  test('offsets beyond all bits are refused with the layer', () => {
    expect(() => encodeFactorsAndOffsets([1], Float64Array.of(2 ** 62), 'dead')).toThrow(/layer dead: an offset/);
  });
});
