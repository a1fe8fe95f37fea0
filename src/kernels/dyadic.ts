/** A dyadic number b/2^c: |b| ≤ 2^31 − 1 … 2^31, 1 ≤ c ≤ 62. */
export interface Dyadic {
  readonly b: number;
  readonly c: number;
}

export { WIDE_LIMIT } from '../program/limits.js';

/**
 * DN(x) = ⌊(x·b + 2^(c−1)) / 2^c⌋: multiplication by the dyadic number b/2^c, rounding half up (I-ViT, eq. 4).
 * The product is taken in 64 bits; |x| < 2^31.
 */
export function applyDyadic(x: number, { b, c }: Dyadic): number {
  return Number(shiftRound(BigInt(x) * BigInt(b), c));
}

/** ⌊(v + 2^(c−1)) / 2^c⌋, for c = 0 v itself: an arithmetic shift right that rounds half up. */
export function shiftRound(v: bigint, c: number): bigint {
  return c === 0 ? v : (v + (1n << BigInt(c - 1))) >> BigInt(c);
}

/**
 * Requantization of an accumulator v: clamp((v·b + 2^(c−1) + offset) >> c, lo, hi). The clamp acts on the 64-bit
 * result, before it is narrowed.
 */
export function requantize(v: number, { b, c }: Dyadic, offset: bigint, lo: number, hi: number): number {
  const r = shiftRound(BigInt(v) * BigInt(b) + offset, c);
  return r < BigInt(lo) ? lo : r > BigInt(hi) ? hi : Number(r);
}

/** Bits of a positive integer below 2^31: ⌊log2 v⌋ + 1; 0 for 0. */
export function bitLength(v: number): number {
  return 32 - Math.clz32(v);
}

/** ⌊a / b⌋ of integers 0 ≤ a, 0 < b: exact. The only division in the integer folders. */
export function divideBig(a: bigint, b: bigint): bigint {
  // eslint-disable-next-line no-restricted-syntax -- BigInt division: exact, and floor for these signs
  return a / b;
}

/** ⌊a / b⌋ of integers 0 ≤ a < 2^53, 0 < b < 2^53. */
export function floorDivide(a: number, b: number): number {
  return Number(divideBig(BigInt(a), BigInt(b)));
}
