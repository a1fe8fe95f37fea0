/** Knots of an activation table: H at 0, 1, …, 63 steps; 0 from 64 steps on. */
export const KNOTS = 64;

/**
 * y = max(x, 0) − H(|x|) for one fixed-point number |x| ≤ 32767, in x's own unit. GELU, quick GELU, SiLU (x·σ(x) with
 * σ(−x) = 1 − σ(x)) and their shift forms are all of this shape with an even, bounded H; ReLU has H = 0. Between knots
 * H is linear: with a = |x|, i = a >> spacing and r the bits below, in Q15,
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
