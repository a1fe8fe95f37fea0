import fc from 'fast-check';
import { expect, it } from 'vitest';
import { softmaxRow } from '../../src/kernels/softmax.js';
import { scaleScore } from '../../src/kernels/attention.js';

type Scores = Parameters<typeof softmaxRow>[1];

/** x is in log2 units with 10 bits as it is. */
const plain: Scores = { kind: 'shift', fractionBits: 10, scoreMultiplier: 2, scoreShift: 1 };

const softmaxOf = (x: number[], op: Scores): number[] => {
  const out = new Int32Array(x.length);
  softmaxRow(Int32Array.from(x), op, out);
  return [...out];
};

it('of powers of two is their share', () => {
  // Weights 2^22, 2^21, 2^20: 4/7, 2/7, 1/7 of 65536 = 37449.14, 18724.57, 9362.29.
  expect(softmaxOf([5000, 3976, 2952], plain)).toEqual([37449, 18725, 9362]);
});

it('ends 22 units below the maximum', () => {
  // Weights 2^22, 64, 32, 16: their shares are 65534.25, 0.99997, 0.49999, 0.25.
  expect(softmaxOf([0, -16 * 1024, -17 * 1024, -18 * 1024], plain)).toEqual([65534, 1, 0, 0]);
  expect(softmaxOf([2 ** 24 - 1, -(2 ** 24 - 1)], plain)).toEqual([65536, 0]);
  // 21 units below the maximum's 2^22 a weight is 2, one unit further 0: so many of them show it.
  const many = (d: number) => softmaxOf([0, ...new Array<number>(70000).fill(-d * 1024)], plain)[0];
  expect(many(21)).toBe(63419); // 2^22·2^16 / (2^22 + 2·70000) = 63419.17
  expect(many(22)).toBe(65536);
});

it('of equals is 1/n', () => {
  expect(softmaxOf([7, 7, 7], plain)).toEqual([21845, 21845, 21845]);
  expect(softmaxOf([-9], plain)).toEqual([65536]);
});

it('is the softmax of reals to 0.4 % of the largest, with the quadratic form', () => {
  const row = fc.array(fc.integer({ min: -8192, max: 8192 }), { minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(row, fc.integer({ min: 8, max: 11 }), (x, fractionBits) => {
      const op: Scores = { kind: 'quadratic', fractionBits, scoreMultiplier: 1 << 20, scoreShift: 20 };
      const scores = x.map((v) => scaleScore(v, op.scoreMultiplier, op.scoreShift, 0));
      const max = Math.max(...scores);
      const weights = scores.map((s) => 2 ** ((s - max) / 2 ** fractionBits));
      const sum = weights.reduce((a, b) => a + b, 0);
      softmaxOf(x, op).forEach((v, i) => {
        const exact = (65536 * weights[i]) / sum;
        expect(Math.abs(v - exact)).toBeLessThanOrEqual(0.0065 * exact + 1);
      });
    }),
  );
});
