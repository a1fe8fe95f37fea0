import { QUANTIZED_LIMIT } from '../decide/encoding.js';

/** Fraction bits of scores in log2 units. */
export const SCORE_BITS = 10;
/** Most keys for which sums of values times 12-bit weights fit 32 bits: 127·16·255·4096 < 2^31. */
export const MAX_FINE_KEYS = 4096;
/** The real value of one step of a score. */
export const SCORE_UNIT = 1 / (Math.LOG2E * 2 ** SCORE_BITS);

/**
 * Score multipliers [heads] in few bits, rounded up, so that |score·b| fits 32 bits whatever q and k of `dim` channels.
 */
export function scoreMultipliers(wanted: Float64Array, dim: number): { multiplier: Int32Array; shift: number } {
  const bits = Math.max(1, 31 - 1 - Math.ceil(Math.log2(dim * QUANTIZED_LIMIT * QUANTIZED_LIMIT)));
  const max = wanted.reduce((a, b) => Math.max(a, b), 0);
  if (!(max > 0) || !Number.isFinite(max)) return { multiplier: new Int32Array(wanted.length), shift: 1 };
  const shift = Math.max(1, Math.min(62, bits - Math.floor(Math.log2(max)) - 1));
  // The small excess keeps an exact value from being rounded up once more.
  return { multiplier: Int32Array.from(wanted, (w) => Math.ceil(w * 2 ** shift * (1 - 1e-9))), shift };
}

/** Position bias and masks in the scores' unit, within what the program allows. */
export function scoreBias(bias: Float32Array, unit: number): Int32Array {
  const limit = 2 ** 28;
  return Int32Array.from(bias, (b) => Math.max(-limit, Math.min(limit, Math.round(b / unit))));
}
