import { bitLength, divideBig, floorDivide } from './dyadic.js';

/**
 * I-LayerNorm's integer part for one row of D ≤ 16384 values |x| < 2^24 (or D ≤ 2^24 values |x| < 2^15):
 *
 *     mean = ⌊(2·Σx + D) / 2D⌋,  y = x − mean                  (y = x where `center` is false: the L2 norm)
 *     v    = max(1, Σy² + ε),    std = ⌊√v⌋                    (ε here is round(ε·D/S²))
 *     t    = bits(std),          f = min(2^31 − 1, ⌊2^(30+t) / std⌋)
 *     ŷ    = (y·f) >> t                                        (64-bit product)
 *
 * y is an integer with y² ≤ v, hence |y| ≤ std and |ŷ| ≤ 2^30; one unit of ŷ is √D/2^30 standard deviations.
 * Unlike the published kernel, ε is kept and the square root runs until it is exact.
 *
 * @param normalized ŷ, overwritten
 */
export function normalizeRow(x: Int32Array, center: boolean, epsilon: bigint, normalized: Int32Array): void {
  const D = x.length;
  let sum = 0;
  for (const value of x) sum += value;
  const mean = center ? floorDivideSigned(2 * sum + D, 2 * D) : 0;

  let squares = 0n;
  for (const value of x) squares += BigInt(value - mean) ** 2n;
  const std = integerSqrt(squares + epsilon > 1n ? squares + epsilon : 1n);

  // std < 2^32: split the shift so that the bit length needs no more than 31 bits.
  const t = std < 1n << 30n ? bitLength(Number(std)) : bitLength(Number(std >> 16n)) + 16;
  const quotient = divideBig(1n << BigInt(30 + t), std);
  const f = quotient > 0x7fffffffn ? 0x7fffffffn : quotient;
  for (let i = 0; i < D; i++) normalized[i] = Number((BigInt(x[i] - mean) * f) >> BigInt(t));
}

/**
 * ⌊√v⌋ by the paper's shift iteration (I-ViT, Algorithm 3; Newton's method): k ← (k + ⌊v/k⌋) >> 1, from
 * 2^⌈bits(v)/2⌉ ≥ √v until it stops falling. Exact for every v ≥ 1.
 */
export function integerSqrt(v: bigint): bigint {
  let k = 1n << BigInt((v.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (k + divideBig(v, k)) >> 1n;
    if (next >= k) return k;
    k = next;
  }
}

function floorDivideSigned(a: number, b: number): number {
  return a >= 0 ? floorDivide(a, b) : -floorDivide(-a + b - 1, b);
}
