/**
 * The integer half of I-ViT's published kernels, one row each: what is left of `paper.ts` once the scales have become
 * integers. Integers of unlimited size, as a reference; `program/limits.ts` bounds x0 so that engines need 64 bits.
 */
import { divideBig } from './dyadic.js';

const INT32_MAX = 2147483647n;
/** n of the shift exponential: fraction bits of its result. */
const SHIFTMAX_BITS = 15n;
const SHIFT_GELU_BITS = 23n;
/** Bits of ShiftGELU's sigmoid, sign included. */
const SIGMOID_BITS = 8n;
/** A shift exponential with this many bits passes 2^31 − 1 by far, where every sum of them is cut off. */
const SATURATED_BITS = 64n;

/** Shiftmax of one row: see `paper.shiftmax`. @param x0 ⌊−1/S⌋ < 0 @returns softmax in units of 2^−(bits−1) */
export function shiftmaxRow(x: Int32Array, x0: bigint, bits: number): bigint[] {
  const max = maximum(x);
  const exponentials = Array.from(x, (value) => shiftExponential(BigInt(value) - max, x0, SHIFTMAX_BITS));
  const factor = reciprocal(exponentials.reduce((sum, e) => sum + e, 0n));
  const shift = BigInt(32 - bits);
  return exponentials.map((e) => (e * factor) >> shift);
}

/** ShiftGELU of one row: see `paper.shiftGelu`. @param x0 ⌊−1/S'⌋ < 0 @returns GELU in units of S·2^−7 */
export function shiftGeluRow(x: ArrayLike<number>, x0: bigint): bigint[] {
  const max = maximum(x);
  const ofMax = shiftExponential(-max, x0, SHIFT_GELU_BITS);
  return Array.from(x, (value) => {
    const e = shiftExponential(BigInt(value) - max, x0, SHIFT_GELU_BITS);
    const sigmoid = (e * reciprocal(e + ofMax)) >> (32n - SIGMOID_BITS);
    return BigInt(value) * sigmoid;
  });
}

/** I-LayerNorm of one row without weight and bias: see `paper.layerNorm`. @returns ⌊y·f/2⌋ in units of √D/2^30 */
export function paperNormRow(x: Int32Array): bigint[] {
  const row = Array.from(x, BigInt);
  const mean = divideHalfToEven(
    row.reduce((sum, value) => sum + value, 0n),
    BigInt(x.length),
  );
  const variance = row.reduce((sum, value) => sum + (value - mean) ** 2n, 0n);
  let std = 1n << 16n;
  for (let i = 0; i < 10; i++) std = (std + divideBig(variance, std)) >> 1n;
  const factor = divideBig(INT32_MAX, std);
  return row.map((value) => ((value - mean) * factor) >> 1n);
}

/**
 * E(x, S, n) ≈ 2^n·e^(x·S)/S: 2^(x·log2 e) by shifts, the mantissa by a straight line. With x0 = ⌊−1/S⌋,
 *
 *     x' = max(x + ⌊x/2⌋ − ⌊x/16⌋, n·x0),  q = ⌊x'/x0⌋,  r = x' − x0·q,  E = max(0, ⌊(r/2 − x0)·2^(n−q)⌋)
 *
 * @param x0 < 0
 */
export function shiftExponential(x: bigint, x0: bigint, n: bigint): bigint {
  const inLog2 = x + (x >> 1n) - (x >> 4n);
  const limited = inLog2 > n * x0 ? inLog2 : n * x0;
  const q = floorDivideBy(-limited, -x0);
  const r = limited - x0 * q;
  // (r/2 − x0)·2^(n−q), doubled so that r/2 is exact; r > x0, hence positive. q is below 0 for x above 0.
  const power = n - q < SATURATED_BITS ? n - q : SATURATED_BITS;
  return ((r - 2n * x0) << power) >> 1n;
}

/** ⌊(2^31 − 1) / min(sum, 2^31 − 1)⌋. */
function reciprocal(sum: bigint): bigint {
  return divideBig(INT32_MAX, sum < INT32_MAX ? sum : INT32_MAX);
}

/** ⌊a / b⌋ of b > 0 and any a. */
function floorDivideBy(a: bigint, b: bigint): bigint {
  return a >= 0n ? divideBig(a, b) : -divideBig(-a + b - 1n, b);
}

/** a / b rounded to the nearest integer, halves to the even one; b > 0. */
function divideHalfToEven(a: bigint, b: bigint): bigint {
  const below = floorDivideBy(a, b);
  const twice = 2n * (a - below * b);
  return twice > b || (twice === b && below % 2n !== 0n) ? below + 1n : below;
}

function maximum(x: ArrayLike<number>): bigint {
  if (x.length === 0) throw new RangeError('Expected at least one number for x but received none');
  let max = x[0];
  for (let i = 1; i < x.length; i++) if (x[i] > max) max = x[i];
  return BigInt(max);
}
