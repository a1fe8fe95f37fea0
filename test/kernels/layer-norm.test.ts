import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { integerSqrt, normalizeRow } from '../../src/kernels/layer-norm.js';

function normalize(x: number[], center: boolean, epsilon: bigint): number[] {
  const normalized = new Int32Array(x.length);
  normalizeRow(Int32Array.from(x), center, epsilon, normalized);
  return [...normalized];
}

describe('integerSqrt', () => {
  it('is exact', () => {
    fc.assert(
      fc.property(fc.oneof(fc.bigInt(1n, 1n << 64n), fc.bigInt(1n, 1n << 20n)), (v) => {
        const k = integerSqrt(v);
        expect(k * k <= v && v < (k + 1n) * (k + 1n)).toBe(true);
      }),
    );
  });

  it('is exact around squares', () => {
    fc.assert(
      fc.property(fc.bigInt(2n, 1n << 31n), (k) => {
        expect([integerSqrt(k * k - 1n), integerSqrt(k * k), integerSqrt(k * k + 1n)]).toEqual([k - 1n, k, k]);
      }),
    );
  });
});

describe('normalizeRow', () => {
  it('follows the formula on 1, 2, 3, 4', () => {
    // mean = ⌊(2·10 + 4)/8⌋ = 3, y = −2, −1, 0, 1; Σy² + 10 = 16, std = 4, t = 3, f = min(2^31 − 1, 2^33/4) = 2^31 − 1
    expect(normalize([1, 2, 3, 4], true, 10n)).toEqual([-536870912, -268435456, 0, 268435455]);
  });

  it('is the L2 norm without centring: 3/5 and 4/5 of 2^30', () => {
    // std = 5, t = 3, f = ⌊2^33/5⌋ = 1717986918; 3f >> 3 = 644245094, 4f >> 3 = 858993459
    expect(normalize([3, 4], false, 0n)).toEqual([644245094, 858993459]);
  });

  it('gives zeros for a constant row', () => {
    expect(normalize([7, 7, 7], true, 0n)).toEqual([0, 0, 0]);
  });

  it("equals (x − mean)/‖x − mean‖ to within the mean's rounding, one count", () => {
    const row = fc.array(fc.integer({ min: -1000000, max: 1000000 }), { minLength: 2, maxLength: 50 });
    fc.assert(
      fc.property(row, (x) => {
        const mean = x.reduce((a, b) => a + b) / x.length;
        const norm = Math.sqrt(x.reduce((sum, v) => sum + (v - mean) ** 2, 0));
        fc.pre(norm > 1000);
        const normalized = normalize(x, true, 0n);
        x.forEach((v, i) => expect(Math.abs(normalized[i] / 2 ** 30 - (v - mean) / norm)).toBeLessThan(2 / norm));
      }),
    );
  });
});
