import { KNOTS, shiftEvenPart } from './activation.js';
import type { Dyadic } from './dyadic.js';

/**
 * α and γ of the form x·σ(αx + γx³) that the shift kernels use for each activation: with the shift exponential, which is up
 * to 6 % too high, these come nearest to the activation itself for inputs of standard deviation 1.5. GELU's error is a
 * quarter of what x·σ(1.702x) leaves.
 */
const SHIFT_FORMS = {
  gelu: { alpha: 1.65, gamma: 0.06 },
  geluTanh: { alpha: 1.65, gamma: 0.06 },
  quickGelu: { alpha: 1.735, gamma: 0 },
  silu: { alpha: 1.02, gamma: 0 },
} as const;

/** Activations that a knot table can hold. */
export type TableActivation = keyof typeof SHIFT_FORMS | 'relu';

/**
 * Knots of H(a) = max(a, 0) − y(a) for a = 0, 1, … 63 steps of 2^spacing, in fixed point with `fractionBits` bits: what
 * `activate` interpolates. `exact` takes the activation's own formula, else the shift form of `shiftEvenPart`.
 */
export function activationKnots(
  kind: TableActivation,
  exact: boolean,
  fractionBits: number,
  spacing: number,
): Int16Array {
  const knots = new Int16Array(KNOTS);
  if (kind === 'relu') return knots;
  const { alpha, gamma } = SHIFT_FORMS[kind];
  const [alphaBits, gammaBits] = [alpha, gamma].map((v) => Math.round(v * 2 ** 14));
  for (let i = 0; i < KNOTS; i++) {
    const a = i * 2 ** spacing;
    knots[i] = exact
      ? Math.round(evenPart(kind, a / 2 ** fractionBits) * 2 ** fractionBits)
      : shiftEvenPart(a, alphaBits, gammaBits, fractionBits);
  }
  return knots;
}

/** H(a) = a·(1 − Φ(a)) of each activation for a ≥ 0. */
function evenPart(kind: keyof typeof SHIFT_FORMS, a: number): number {
  switch (kind) {
    case 'gelu':
      return (a / 2) * erfc(a / Math.SQRT2);
    case 'geluTanh':
      return a / (1 + Math.exp(2 * Math.sqrt(2 / Math.PI) * (a + 0.044715 * a ** 3)));
    case 'quickGelu':
      return a / (1 + Math.exp(1.702 * a));
    case 'silu':
      return a / (1 + Math.exp(a));
  }
}

/** Complementary error function for x ≥ 0, to 1.2e-7 relative (W. J. Cody's form as in Numerical Recipes, erfcc). */
function erfc(x: number): number {
  const t = 1 / (1 + x / 2);
  const series = [
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223,
    0.17087277,
  ].reduceRight((sum, c) => sum * t + c, 0);
  return t * Math.exp(-x * x + series);
}

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
