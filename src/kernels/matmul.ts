import type { MatmulOp } from '../program/types.js';
import { floorDivide } from './dyadic.js';
import { locate } from './view.js';

/**
 * Row r = w·m + i of the products of two i16 values, for every head h and column j:
 *
 *     acc[h·n + j] = Σ_k a[w, h, i, k]·b[w, h, j, k]
 *
 * Exact: k ≤ 2^22 products below 2^30 stay below 2^52.
 *
 * @param acc [cols], overwritten
 */
export function multiplyViews(op: MatmulOp, a: Int16Array, b: Int16Array, r: number, acc: number[]): void {
  const { heads, n, k } = op;
  const window = floorDivide(r, op.m);
  for (let h = 0; h < heads; h++) {
    const aAt = locate(op.a, r, h);
    for (let j = 0; j < n; j++) {
      const bAt = locate(op.b, window * n + j, h);
      let sum = 0;
      for (let i = 0; i < k; i++) sum += a[aAt + i] * b[bAt + i];
      acc[h * n + j] = sum;
    }
  }
}
