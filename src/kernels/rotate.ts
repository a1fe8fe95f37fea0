/** One row of a rotation, and the row of the tables for it. */
export interface RotatedRow {
  /** [cols]: the columns that are turned. */
  readonly x: Int16Array;
  /** [period], which divides cols. */
  readonly cos: Int16Array;
  readonly sin: Int16Array;
}

/**
 * Rotary position embedding of one row, in exact integers:
 *
 *     v[n] = x[n]·cos[n mod period] + x[partner[n]]·sin[n mod period]
 *
 * Values of i16 are within ±32767, which leaves |v| ≤ 2·32767² < 2^31.
 *
 * @param partner [cols]
 * @param v where the result is written, [cols]
 */
export function rotateRow({ x, cos, sin }: RotatedRow, partner: Int32Array, v: Int32Array): void {
  const period = cos.length;
  for (let n = 0; n < partner.length; n++) v[n] = x[n] * cos[n % period] + x[partner[n]] * sin[n % period];
}
