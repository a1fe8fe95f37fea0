import { bitLength, floorDivide } from './dyadic.js';

export { outputRange } from '../program/limits.js';

/**
 * Per-row dynamic quantization: one row û, |û| < 2^22, by its own maximum M = max(1, max|û|):
 *
 *     e  = max(0, bits(M) − 8)       M' = ⌈M / 2^e⌉·2^e         (an 8-bit mantissa: later products stay small)
 *     m  = ⌊127·2^24 / M'⌋           q = ((û·m + 2^23) >> 24) + 128
 *
 * |û·m| ≤ 127·2^24 < 2^31, so nothing can overflow or clip. Real value: (q − 128)·M'/127 units of û.
 *
 * @param u û, [cols]
 * @param out where the quantized values q are written, from element `at` on
 * @returns M', the row's scale
 */
export function quantizeRow(u: Int32Array, out: Uint8Array, at: number): number {
  let max = 1;
  for (const v of u) max = Math.max(max, Math.abs(v));
  const scale = roundUpTo8Bits(max);
  const m = floorDivide(127 * 16777216, scale);
  for (let i = 0; i < u.length; i++) {
    out[at + i] = ((Math.imul(u[i], m) + (1 << 23)) >> 24) + 128;
  }
  return scale;
}

/** The least number ≥ max whose bits below the top eight are zero. */
export function roundUpTo8Bits(max: number): number {
  const e = Math.max(0, bitLength(max) - 8);
  return ((max + (1 << e) - 1) >> e) << e;
}
