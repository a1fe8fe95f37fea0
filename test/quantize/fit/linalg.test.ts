import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cholesky, invertLower } from '../../../src/quantize/fit/linalg.js';

/** B·Bᵀ + I of a random [n, n] B: symmetric positive definite. */
const definite = fc.integer({ min: 1, max: 12 }).chain((n) =>
  fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: n * n, maxLength: n * n }).map((b) => ({
    n,
    a: Float64Array.from({ length: n * n }, (_, i) => {
      const [r, c] = [Math.floor(i / n), i % n];
      let sum = r === c ? 1 : 0;
      for (let k = 0; k < n; k++) sum += b[r * n + k] * b[c * n + k];
      return sum;
    }),
  })),
);

test('L·Lᵀ is A, and the inverse of L its inverse', () => {
  fc.assert(
    fc.property(definite, ({ n, a }) => {
      const factor = a.slice();
      expect(cholesky(factor, n)).toBe(true);
      const inverse = factor.slice();
      invertLower(inverse, n);
      for (let r = 0; r < n; r++) {
        for (let c = 0; c < n; c++) {
          let product = 0;
          let unit = 0;
          for (let k = 0; k < n; k++) {
            product += factor[r * n + k] * factor[c * n + k];
            unit += factor[r * n + k] * inverse[k * n + c];
          }
          expect(product).toBeCloseTo(a[r * n + c], 8);
          expect(unit).toBeCloseTo(r === c ? 1 : 0, 8);
          if (c > r) expect([factor[r * n + c], inverse[r * n + c]]).toEqual([0, 0]);
        }
      }
    }),
  );
});

test('a matrix that is not positive definite has no factor', () => {
  expect(cholesky(Float64Array.of(1, 2, 2, 1), 2)).toBe(false);
  expect(cholesky(Float64Array.of(0), 1)).toBe(false);
});
