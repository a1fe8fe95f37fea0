/**
 * Softmax, GELU and LayerNorm in float32: the kernels of `--kernels float`, and the only floating point of the engines.
 * Every step is one operation of IEEE 754 single precision, rounded to nearest, in this order: so that C gives the same
 * bits (native/float/). Integers come in, and go out.
 */
const f32 = Math.fround;

/** Taylor coefficients of 2^r, from r^6 down to r^1. */
const EXP2 = [1.540353e-4, 1.3333558e-3, 9.6181291e-3, 5.5504109e-2, 2.4022651e-1, 6.9314718e-1].map(f32);
const LOG2_E = f32(1.442695);
const SQRT_HALF = f32(0.70710678);
/** erfc(a) ≈ (c₅t⁵ + … + c₁t)·e^(−a²), t = 1/(1 + p·a), within 1.5e−7 (Abramowitz and Stegun, 7.1.26). */
const ERFC = [1.0614054, -1.453152, 1.4214137, -2.8449674e-1, 2.5482959e-1].map(f32);
const ERFC_P = f32(0.3275911);

/** Below this exponent a power of two counts as it. */
const LEAST_EXPONENT = -126;
const SOFTMAX_BITS = 16;
/** Of GELU's and LayerNorm's results. */
const LIMIT = 2 ** 30;

/** 2^t of t ≤ 0: a polynomial of what is left of the nearest whole number. */
function exp2(t: number): number {
  const limited = Math.max(t, LEAST_EXPONENT);
  const n = Math.trunc(f32(limited - 0.5));
  const r = f32(limited - n);
  const p = EXP2.reduce((sum, c) => f32(f32(sum * r) + c), 0);
  return f32(f32(f32(p * r) + 1) * 2 ** n);
}

/** ⌊v + ½⌋ within ±2^30. */
function nearest(v: number): number {
  return Math.max(-LIMIT, Math.min(LIMIT, Math.floor(f32(v + 0.5))));
}

/**
 * Softmax of one row of scores in units of ln 2/2^10: e = 2^((x − max)/2^10), w = min(⌊e·(1/Σe)·2^16 + ½⌋, 2^16 − 1).
 *
 * @param max the largest score
 * @param out softmax in units of 2^−16, overwritten
 */
export function softmaxFloat(x: Int32Array, max: number, out: Int32Array): void {
  const e = Float32Array.from(x, (score) => exp2(f32(f32(score - max) * 2 ** -10)));
  let sum = 0;
  for (const value of e) sum = f32(sum + value);
  const reciprocal = f32(1 / sum);
  for (let i = 0; i < x.length; i++) {
    out[i] = Math.min(nearest(f32(f32(e[i] * reciprocal) * 2 ** SOFTMAX_BITS)), 2 ** SOFTMAX_BITS - 1);
  }
}

/**
 * GELU of one fixed-point number with f fraction bits: x/2·(1 + erf(x/√2)).
 *
 * @returns GELU in units of 2^−(f + 15): within ±2^30
 */
export function geluFloat(x: number, f: number): number {
  const real = f32(x * 2 ** -f);
  const a = f32(Math.abs(real) * SQRT_HALF);
  const t = f32(1 / f32(1 + f32(ERFC_P * a)));
  const polynomial = f32(ERFC.reduce((sum, c) => f32(f32(sum * t) + c), 0) * t);
  const tail = f32(polynomial * exp2(f32(f32(-a * a) * LOG2_E)));
  const twice = real < 0 ? tail : f32(2 - tail);
  return nearest(f32(f32(f32(0.5 * real) * twice) * 2 ** (f + 15)));
}

/**
 * LayerNorm without weight and bias of one row of D integers: (x − mean)/√(Σ(x − mean)² + ε), 1 or more under the root.
 *
 * @param center false: the mean counts as 0
 * @param epsilon round(ε·D/S²)
 * @param out in units of √D/2^30 standard deviations: within ±2^30, overwritten
 */
export function normFloat(x: Int32Array, center: boolean, epsilon: bigint, out: Int32Array): void {
  let sum = 0;
  if (center) for (const value of x) sum = f32(sum + f32(value));
  const mean = f32(sum / x.length);
  let squares = f32(Number(epsilon));
  for (const value of x) {
    const y = f32(f32(value) - mean);
    squares = f32(squares + f32(y * y));
  }
  const factor = f32(2 ** 30 / f32(Math.sqrt(Math.max(squares, 1))));
  for (let i = 0; i < x.length; i++) out[i] = nearest(f32(f32(f32(x[i]) - mean) * factor));
}
