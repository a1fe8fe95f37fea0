/**
 * The kernels of I-ViT (Li & Gu, ICCV 2023) exactly as its published code computes them, one row each: for reproducing the
 * paper. What they need of real numbers (x0, β/γ) is computed in double precision by `prepare.ts`, where the published
 * code has float32; everything else is integers of unlimited size.
 */
import { divideBig } from './dyadic.js';
import { paperNormOffset, shiftExponentialUnit, sigmoidScale } from './prepare.js';

const INT32_MAX = 2147483647n;
/** n of the shift exponential: fraction bits of its result. */
const SHIFTMAX_BITS = 15n;
const SHIFT_GELU_BITS = 23n;
/** Bits of ShiftGELU's sigmoid, sign included. */
const SIGMOID_BITS = 8n;
/** A shift exponential with this many bits passes 2^31 − 1 by far, where every sum of them is cut off. */
const SATURATED_BITS = 64n;

/**
 * Shiftmax: softmax with shift exponentials.
 *
 *     e_i = E(x_i − max x, S, 15),  s = min(Σe, 2^31 − 1),  f = ⌊(2^31 − 1)/s⌋,  out_i = ⌊e_i·f / 2^(32−bits)⌋
 *
 * @param x one row of scores, real value x·scale
 * @param bits of the result, sign included: 8 or 16 in the paper; 2 to 31
 * @returns softmax in units of 2^−(bits−1)
 * @throws RangeError for a scale that is not positive, or so small that a result leaves 32 bits
 */
export function shiftmax(x: Int32Array, scale: number, bits: number): Int32Array {
  if (!Number.isInteger(bits) || bits < 2 || bits > 31) {
    throw new RangeError(`Expected an integer from 2 to 31 for bits but received ${bits}`);
  }
  const unit = shiftExponentialUnit(scale);
  const max = maximum(x);
  const exponentials = Array.from(x, (value) => shiftExponential(BigInt(value) - max, unit, SHIFTMAX_BITS));
  const factor = reciprocal(exponentials.reduce((sum, e) => sum + e, 0n));
  const shift = BigInt(32 - bits);
  return Int32Array.from(exponentials, (e) => toInt32((e * factor) >> shift, scale));
}

/**
 * ShiftGELU: x·σ(1.702x), σ from shift exponentials taken relative to the row's maximum.
 *
 *     S' = 1.702·S,  e_i = E(x_i − max x, S', 23),  e_m = E(−max x, S', 23),  s_i = min(e_i + e_m, 2^31 − 1)
 *     σ_i = ⌊e_i·⌊(2^31 − 1)/s_i⌋ / 2^24⌋,  out_i = x_i·σ_i
 *
 * @param x one row, real value x·scale
 * @returns GELU in units of scale·2^−7
 * @throws RangeError for a scale that is not positive, or numbers so large that a result leaves 32 bits
 */
export function shiftGelu(x: Int32Array, scale: number): Int32Array {
  const unit = shiftExponentialUnit(sigmoidScale(scale));
  const max = maximum(x);
  const ofMax = shiftExponential(-max, unit, SHIFT_GELU_BITS);
  return Int32Array.from(x, (value) => {
    const e = shiftExponential(BigInt(value) - max, unit, SHIFT_GELU_BITS);
    const sigmoid = (e * reciprocal(e + ofMax)) >> (32n - SIGMOID_BITS);
    return toInt32(BigInt(value) * sigmoid, scale);
  });
}

/**
 * I-LayerNorm: ten Newton steps from 2^16 for the standard deviation's integer, ε left out.
 *
 *     mean = Σx/D rounded half to even,  y = x − mean,  v = Σy²,  k = 2^16, ten times k = ⌊(k + ⌊v/k⌋)/2⌋
 *     f = ⌊(2^31 − 1)/k⌋,  out = ⌊y·f/2⌋ + ⌊(β/γ)/(√D/2^30)⌋
 *
 * @param x one row of D numbers
 * @param weight γ, [D]
 * @param bias β, [D]
 * @returns normalised numbers in units of γ·√D/2^30, which pass 32 bits
 * @throws RangeError where γ is 0 in a channel, or the lengths differ
 */
export function layerNorm(x: Int32Array, weight: ArrayLike<number>, bias: ArrayLike<number>): BigInt64Array {
  if (weight.length !== x.length || bias.length !== x.length) {
    throw new RangeError(`Expected ${x.length} numbers for weight and bias but received ${weight.length} and ${bias.length}`);
  }
  if (x.length === 0) throw new RangeError('Expected at least one number for x but received none');
  const offset = paperNormOffset(weight, bias);
  const row = Array.from(x, BigInt);
  const mean = divideHalfToEven(row.reduce((sum, value) => sum + value, 0n), BigInt(x.length));
  const variance = row.reduce((sum, value) => sum + (value - mean) ** 2n, 0n);
  let std = 1n << 16n;
  for (let i = 0; i < 10; i++) std = (std + divideBig(variance, std)) >> 1n;
  const factor = divideBig(INT32_MAX, std);
  return BigInt64Array.from(row, (value, i) => (((value - mean) * factor) >> 1n) + offset[i]);
}

/**
 * E(x, S, n) ≈ 2^n·e^(x·S)/S: 2^(x·log2 e) by shifts, the mantissa by a straight line. With x0 = ⌊−1/S⌋,
 *
 *     x' = max(x + ⌊x/2⌋ − ⌊x/16⌋, n·x0),  q = ⌊x'/x0⌋,  r = x' − x0·q,  E = max(0, ⌊(r/2 − x0)·2^(n−q)⌋)
 *
 * @param unit x0 < 0
 */
function shiftExponential(x: bigint, unit: bigint, n: bigint): bigint {
  const inLog2 = x + (x >> 1n) - (x >> 4n);
  const limited = inLog2 > n * unit ? inLog2 : n * unit;
  const q = floorDivideBy(-limited, -unit);
  const r = limited - unit * q;
  // (r/2 − x0)·2^(n−q), doubled so that r/2 is exact; r > x0, hence positive. q is below 0 for x above 0.
  const power = n - q < SATURATED_BITS ? n - q : SATURATED_BITS;
  return ((r - 2n * unit) << power) >> 1n;
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

function maximum(x: Int32Array): bigint {
  if (x.length === 0) throw new RangeError('Expected at least one number for x but received none');
  let max = -2147483648;
  for (const value of x) if (value > max) max = value;
  return BigInt(max);
}

function toInt32(value: bigint, scale: number): number {
  if (value <= INT32_MAX && value >= -INT32_MAX - 1n) return Number(value);
  throw new RangeError(`Expected a row and a scale whose result fits 32 bits but received ${value} at scale ${scale}`);
}
