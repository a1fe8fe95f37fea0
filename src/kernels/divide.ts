import { divideBig } from './dyadic.js';

/** Of a quotient, which is held in 32 bits. */
const QUOTIENT_LIMIT = 2147483647;

/**
 * a/b in units of 2^−bits, rounded to the nearest integer, halves away from 0; b = 0 counts as 1:
 *
 *     v = sign(a)·sign(b)·min(⌊(|a|·2^bits + ⌊|b|/2⌋) / |b|⌋, 2^31 − 1)
 *
 * @param a |a| < 2^24
 * @param b |b| < 2^24
 * @param bits 0 to 28
 */
export function divideRounded(a: number, b: number, bits: number): number {
  const divisor = b === 0 ? 1 : Math.abs(b);
  const dividend = (BigInt(Math.abs(a)) << BigInt(bits)) + BigInt(divisor >> 1);
  const quotient = divideBig(dividend, BigInt(divisor));
  const v = quotient > BigInt(QUOTIENT_LIMIT) ? QUOTIENT_LIMIT : Number(quotient);
  return a < 0 !== b < 0 ? 0 - v : v;
}
