import { KNOTS, shiftEvenPart } from './activation.js';
import type { Dyadic } from './dyadic.js';

/** What an activation's table is made from: H itself, or α and γ of its shift form. */
export type EvenPart = ((a: number) => number) | { readonly alpha: number; readonly gamma: number };

/**
 * Knots of H(a) = max(a, 0) − y(a) for a = 0, 1, … 63 steps of 2^spacing, in fixed point with `fractionBits` bits: what
 * `activate` interpolates.
 */
export function activationKnots(evenPart: EvenPart, fractionBits: number, spacing: number): Int16Array {
  const knots = new Int16Array(KNOTS);
  for (let i = 0; i < KNOTS; i++) {
    const a = i * 2 ** spacing;
    knots[i] =
      typeof evenPart === 'function'
        ? Math.round(evenPart(a / 2 ** fractionBits) * 2 ** fractionBits)
        : shiftEvenPart(a, inQ14(evenPart.alpha), inQ14(evenPart.gamma), fractionBits);
  }
  return knots;
}

const inQ14 = (v: number): number => Math.round(v * 2 ** 14);

/** S = max / (2^(bits−1) − 1): the scale of symmetric quantization to `bits` bits (I-ViT, eq. 1). */
export function symmetricScale(max: number, bits: number): number {
  return max / (2 ** (bits - 1) - 1);
}

/** I = clip(round(R / S), ±(2^(bits−1) − 1)), ties away from zero. */
export function quantizeReal(real: number, scale: number, bits: number): number {
  const limit = 2 ** (bits - 1) - 1;
  return Math.sign(real) * Math.min(limit, Math.floor(Math.abs(real) / scale + 0.5)) + 0;
}

/** Most fraction bits of a dyadic number: products of 63 bits are shifted by less than their width. */
const MAX_SHIFT = 62;

/**
 * The dyadic number b/2^c nearest to a scale m (I-ViT, eq. 4), with 31 bits of b where c allows:
 *
 *     m = f·2^e, ½ ≤ |f| < 1:   b = sign(m)·⌊|f|·2^31 + ½⌋,  c = 31 − e      (b = 2^31 becomes b = 2^30, e + 1)
 *     c > 62:                   b = sign(m)·⌊|m|·2^62 + ½⌋,  c = 62
 *     m = 0:                    b = 0, c = 1
 *
 * @throws RangeError for a scale that is not finite, or so large (2^30 and above) that c would be below 1
 */
export function toDyadic(scale: number): Dyadic {
  if (!Number.isFinite(scale)) throw new RangeError(`Expected a finite number for scale but received ${scale}`);
  if (scale === 0) return { b: 0, c: 1 };
  const sign = Math.sign(scale);
  const magnitude = Math.abs(scale);
  let exponent = binaryExponent(magnitude);
  let b = Math.floor(magnitude * 2 ** (31 - exponent) + 0.5);
  if (b === 2 ** 31) {
    b = 2 ** 30;
    exponent++;
  }
  const c = 31 - exponent;
  if (c < 1) throw new RangeError(`Expected a number below 2^30 for scale but received ${scale}`);
  // Adding 0 turns −0, of scales below 2^−63, into 0.
  if (c > MAX_SHIFT) return { b: sign * Math.floor(magnitude * 2 ** MAX_SHIFT + 0.5) + 0, c: MAX_SHIFT };
  return { b: sign * b, c };
}

/** e of m = f·2^e, ½ ≤ f < 1, for m > 0. Far below 2^−62 any small number serves. */
function binaryExponent(m: number): number {
  if (m < 2 ** -100) return -100;
  let e = Math.ceil(Math.log2(m));
  // log2 is rounded: correct the neighbours of powers of two.
  while (m >= 2 ** e) e++;
  while (m < 2 ** (e - 1)) e--;
  return e;
}

/**
 * x0 = ⌊−1/S⌋, the shift exponential's unit of the published kernels.
 *
 * @throws RangeError for a scale that is not a positive number, or so small that x0 leaves 52 bits
 */
export function shiftExponentialUnit(scale: number): bigint {
  const unit = Math.floor(-1 / scale);
  if (unit <= -1 && unit >= -(2 ** 52)) return BigInt(unit);
  throw new RangeError(`Expected a finite number above 2^-52 for scale but received ${scale}`);
}

/** S' = 1.702·S, in which ShiftGELU computes its sigmoid. */
export function sigmoidScale(scale: number): number {
  return 1.702 * scale;
}

/**
 * ⌊(β/γ) / (√D/2^30)⌋ per channel, what the published I-LayerNorm adds to its normalised integers.
 *
 * @throws RangeError where γ is 0 (the published kernel divides by it), or the result leaves 63 bits
 */
export function paperNormOffset(weight: ArrayLike<number>, bias: ArrayLike<number>): BigInt64Array {
  const unit = Math.sqrt(weight.length) / 2 ** 30;
  return BigInt64Array.from(Array.from(weight), (gamma, i) => {
    const offset = Math.floor(bias[i] / gamma / unit);
    if (Math.abs(offset) < 2 ** 62) return BigInt(offset);
    throw new RangeError(
      `Expected a weight other than 0 and a finite bias for channel ${i} but received ${gamma} and ${bias[i]}`,
    );
  });
}
