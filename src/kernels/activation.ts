import { floorDivide } from './dyadic.js';

/** Knots of an activation table: H at 0, 1, …, 63 steps; 0 from 64 steps on. */
export const KNOTS = 64;

/**
 * y = max(x, 0) − H(|x|) for one fixed-point number |x| ≤ 32767, in x's own unit. GELU, quick GELU, SiLU and their
 * shift forms all have this form with a bounded H, because they are x·σ(x) with σ(−x) = 1 − σ(x). ReLU has H = 0.
 * Between knots H is linear. With a = |x|, i = a >> spacing and r the bits below, in Q15:
 *
 *     H = knots[i] + (((knots[i+1] − knots[i])·r + 2^14) >> 15)
 */
export function activate(x: number, knots: Int16Array, spacing: number): number {
  const a = Math.abs(x);
  const i = a >> spacing;
  if (i >= KNOTS) return Math.max(x, 0);
  const r = (a & ((1 << spacing) - 1)) << (15 - spacing);
  const next = i + 1 < KNOTS ? knots[i + 1] : 0;
  return Math.max(x, 0) - (knots[i] + (((next - knots[i]) * r + (1 << 14)) >> 15));
}

/** log2 e in Q14. */
const LOG2_E = 23637;

/**
 * ShiftGELU's even part at one point: H(a) = a·σ(−t), t = α·a + γ·a³, for a ≥ 0 in fixed point with g fraction bits. σ
 * comes from the shift exponential of −t, which is stable and elementwise. (The published form subtracts the row's
 * maximum, and fails once that exceeds about 9.4.)
 *
 *     u = ⌊⌊a²/2^g⌋·a/2^g⌋,  t = ⌊(a·α + u·γ)/2^14⌋,  z = min(⌊t·log2e/2^14⌋, 31·2^g)
 *     q = z >> g,  r = the low g bits of z in Q15
 *     E = (2^15 − (r >> 1)) >> q                               e^−t in Q15, I-ViT's ShiftExp
 *     H = ⌊a·E / (2^15 + E)⌋                                   a·E/(1 + E)
 *
 * The cubic term is that of GELU's tanh form; the paper has none (γ = 0, α = 1.702).
 *
 * @param a below 2^15
 * @param alpha α in Q14, below 2^15
 * @param gamma γ in Q14, below 2^11
 */
export function shiftEvenPart(a: number, alpha: number, gamma: number, g: number): number {
  const u = floorDivide(floorDivide(a * a, 1 << g) * a, 1 << g);
  const t = floorDivide(a * alpha + u * gamma, 1 << 14);
  const z = Math.min(floorDivide(t * LOG2_E, 1 << 14), 31 << g);
  const r = (z & ((1 << g) - 1)) << (15 - g);
  const E = ((1 << 15) - (r >> 1)) >> (z >> g);
  return floorDivide(a * E, (1 << 15) + E);
}
