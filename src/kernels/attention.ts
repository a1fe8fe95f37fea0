import type { SoftmaxKind } from '../program/types.js';
import { bitLength, floorDivide, requantize } from './dyadic.js';

/** Clamp of a score in log2 units: far beyond where a weight is 0, far below overflow. */
const SCORE_LIMIT = 1 << 30;
/** 0.17157 = 4·(3/4 − 2^(−1/2)) in Q14: makes 1 − r/2 − κ·r·(1 − r) equal 2^−r at r = ½. */
const KAPPA = 2811;

/** x = clamp(((s·b + 2^(c−1)) >> c) + bias, ±2^30) of one score s, |s| < 2^31, |bias| ≤ 2^28. */
export function scaleScore(s: number, b: number, c: number, bias: number): number {
  const x = requantize(s, b, c, 0n, -SCORE_LIMIT, SCORE_LIMIT) + bias;
  return Math.max(-SCORE_LIMIT, Math.min(SCORE_LIMIT, x));
}

/**
 * The unnormalised softmax weight of a score d = max − x ≥ 0 below the row's maximum, d in log2 units with p fraction
 * bits: round(255·2^(−d/2^p)) up to the exponential's approximation; u8, 255 at d = 0.
 *
 *     q = d >> p,  r = the low p bits of d in Q14
 *     shift:      m = 2^14 − (r >> 1)
 *     quadratic:  m = 2^14 − (r >> 1) − ((((r·(2^14 − r)) >> 14)·κ + 2^13) >> 14)
 *     w = (255·(m >> min(q, 15)) + 2^13) >> 14
 *
 * The shift form is I-ViT's ShiftExp in a fixed unit of log2 (eq. 12 to 14): shifts and adds only.
 */
export function softmaxWeight(d: number, p: number, kind: SoftmaxKind): number {
  const q = Math.min(d >> p, 15);
  const r = (d & ((1 << p) - 1)) << (14 - p);
  let m = (1 << 14) - (r >> 1);
  if (kind === 'quadratic') m -= (((r * ((1 << 14) - r)) >> 14) * KAPPA + (1 << 13)) >> 14;
  return (255 * (m >> q) + (1 << 13)) >> 14;
}

/**
 * Deferred normalisation: o = (Σ w·v · ⌊2^31 / Σw⌋ + 128) >> 8, the weighted mean of v in units of 2^−23.
 * |Σ w·v| ≤ 127·Σw, so |o| < 2^30.
 *
 * @param sum Σw ≥ 255
 */
export function normalizeSum(acc: number, sum: number): number {
  return requantize(acc, floorDivide(2147483648, sum), 8, 0n, -2147483647, 2147483647);
}

/** Bits needed for scores of `dim` products of i8 codes. */
export function scoreBits(dim: number): number {
  return 14 + bitLength(dim);
}
