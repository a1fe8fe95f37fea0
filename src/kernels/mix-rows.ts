import type { MixRowsOp } from '../program/types.js';

/**
 * Row r of weighted sums of rows of x [any, cols]: v[n] = Σ_t weight[r, t]·x[index[r, t], n], index −1 being no row.
 * Exact: the program's proof keeps |v| below 2^53.
 *
 * @param v [cols], overwritten
 */
export function mixRow(
  { cols, taps, index, weight }: Pick<MixRowsOp, 'cols' | 'taps' | 'index' | 'weight'>,
  x: Int32Array,
  r: number,
  v: number[],
): void {
  v.fill(0);
  for (let i = r * taps; i < (r + 1) * taps; i++) {
    if (index[i] < 0) continue;
    for (let n = 0; n < cols; n++) v[n] += weight[i] * x[index[i] * cols + n];
  }
}
