import { extentOf } from '../program/ops/matmul.js';
import type { MatmulOp, MatrixView } from '../program/types.js';
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
  const { heads, m, n, k } = op;
  const window = floorDivide(r, m);
  for (let head = 0; head < heads; head++) {
    const x = readRow(op.a, a, { window, head, rows: m, k }, r - window * m);
    for (let j = 0; j < n; j++) {
      const y = readRow(op.b, b, { window, head, rows: n, k }, j);
      let sum = 0;
      for (let i = 0; i < k; i++) sum += x[i] * y[i];
      acc[head * n + j] = sum;
    }
  }
}

/** Which matrix of a view, and its shape. */
interface Matrix {
  readonly window: number;
  readonly head: number;
  readonly rows: number;
  readonly k: number;
}

/** Row i of a matrix: [k]. */
function readRow(view: MatrixView, source: Int16Array, { window, head, rows, k }: Matrix, i: number): Int16Array {
  const first = window * extentOf(view, rows, k).tokens;
  if (view.transposed !== true) {
    const at = locate(view, first + i, head);
    return source.subarray(at, at + k);
  }
  return Int16Array.from({ length: k }, (_, t) => source[locate(view, first + t, head) + i]);
}
