import { KNOTS, shiftEvenPart } from './activation.js';

/** α of the form x·σ(αx) that the shift kernels use for each activation. */
const SHIFT_ALPHA = { gelu: 1.702, geluTanh: 1.702, quickGelu: 1.702, silu: 1 } as const;

/** Activations that a knot table can hold. */
export type TableActivation = keyof typeof SHIFT_ALPHA | 'relu';

/**
 * Knots of H(a) = max(a, 0) − y(a) for a = 0, 1, … 63 steps of 2^spacing, in fixed point with `fractionBits` bits: what
 * `activate` interpolates. `exact` takes the activation's own formula, else the shift form of `shiftEvenPart`.
 */
export function activationKnots(kind: TableActivation, exact: boolean, fractionBits: number, spacing: number): Int16Array {
  const knots = new Int16Array(KNOTS);
  if (kind === 'relu') return knots;
  const alpha = Math.round(SHIFT_ALPHA[kind] * 2 ** 14);
  for (let i = 0; i < KNOTS; i++) {
    const a = i * 2 ** spacing;
    knots[i] = exact
      ? Math.round(evenPart(kind, a / 2 ** fractionBits) * 2 ** fractionBits)
      : shiftEvenPart(a, alpha, fractionBits);
  }
  return knots;
}

/** H(a) = a·(1 − Φ(a)) of each activation for a ≥ 0. */
function evenPart(kind: keyof typeof SHIFT_ALPHA, a: number): number {
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
