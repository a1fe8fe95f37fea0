import { floorDivide } from './dyadic.js';
import { normalizeRow } from './layer-norm.js';

/**
 * Group norm's integer part: `normalizeRow`, with its mean, of the D = rows·cols/groups values of each group of
 * cols/groups successive channels, over all rows of x [rows, cols]. With |x| < 2^15 and D ≤ 2^24 all of its steps stay
 * within 63 bits; one unit of ŷ is √D/2^30 standard deviations.
 *
 * @param normalized ŷ [rows, cols], overwritten
 */
export function normalizeGroups(
  x: Int16Array,
  cols: number,
  groups: number,
  epsilon: bigint,
  normalized: Int32Array,
): void {
  const width = floorDivide(cols, groups);
  const taken = new Int32Array(floorDivide(x.length, groups));
  const row = new Int32Array(taken.length);
  for (let first = 0; first < cols; first += width) {
    for (let i = 0, at = first; i < taken.length; i += width, at += cols) taken.set(x.subarray(at, at + width), i);
    normalizeRow(taken, true, epsilon, row);
    for (let i = 0, at = first; i < taken.length; i += width, at += cols)
      normalized.set(row.subarray(i, i + width), at);
  }
}
