/**
 * The kernels of I-BERT (Kim et al., ICML 2021, arXiv 2101.01321), in the fixed scales that programs have: its
 * polynomials' integer constants are then constants here. I-LayerNorm's root is `integerSqrt` (its algorithm 4).
 */
import { FINE_SCORE_BITS, LEAST_GELU_BITS } from '../program/limits.js';
import { divideBig } from './dyadic.js';

/** ⌊1.353/S⌋ and ⌊0.344/(0.3585·S²)⌋ of S = ln 2/2^10: ⌊ln 2/S⌋ is 2^10, and the range reduction a shift. */
const EXP_B = 1998;
const EXP_C = 2094200;
/** What brings the largest exponential, b² + c < 2^23, to 15 bits: I-BERT brings it to 16 with a sign. */
const EXP_SHIFT = 8;
/** From so many halvings on an exponential is 0. */
const EXP_REACH = 15;

/** ⌊1.769/S⌋ rounded up and ⌊1/(0.2888·S²)⌋ rounded up of S = 2^−f/√2, for f = 6, 7, … 12. */
const ERF_B = [161, 321, 641, 1281, 2562, 5124, 10248] as const;
const ERF_C = [28366, 113463, 453851, 1815402, 7261607, 29046427, 116185707] as const;
/** 1/(0.2888·2^−12/2) rounded up: erf = 1 once its polynomial is brought to the scale of f = 6. */
const ERF_ONE = 28366;

/**
 * i-exp (algorithm 2) of the score −d·S, S = ln 2/2^10, in 15 bits:
 *
 *     z = ⌊d/2^10⌋,  r = d − z·2^10,  q = (⌊1.353/S⌋ − r)² + ⌊0.344/(0.3585·S²)⌋,  e = q >> (z + 8)
 *
 * @param d ≥ 0, below 2^32
 */
export function expInteger(d: number): number {
  const z = d >>> FINE_SCORE_BITS;
  if (z >= EXP_REACH) return 0;
  const r = d & ((1 << FINE_SCORE_BITS) - 1);
  return ((EXP_B - r) ** 2 + EXP_C) >> (z + EXP_SHIFT);
}

/**
 * i-softmax of one row of scores in units of ln 2/2^10:
 *
 *     e_i = i-exp(x_i − max x),  w_i = ⌊e_i·⌊(2^32 − 1)/Σe⌋ / 2^(32−bits)⌋
 *
 * I-BERT's code divides 2^32, so that a weight of 1 takes one bit more.
 *
 * @param max the largest score
 * @param bits 8 in I-BERT, 16 as I-ViT's softmax has
 * @param out softmax in units of 2^−bits, overwritten; it adds up to 2^bits − 1 at most
 */
export function softmaxInteger(x: Int32Array, max: number, bits: number, out: Int32Array): void {
  let sum = 0;
  for (let i = 0; i < x.length; i++) {
    out[i] = expInteger(max - x[i]);
    sum += out[i];
  }
  const factor = divideBig((1n << 32n) - 1n, BigInt(sum));
  const shift = BigInt(32 - bits);
  for (let i = 0; i < x.length; i++) out[i] = Number((BigInt(out[i]) * factor) >> shift);
}

/**
 * i-GELU (algorithm 1) of one fixed-point number |x| ≤ 32767 with f fraction bits, S = 2^−f:
 *
 *     L(x) = sgn(x)·((min(|x|, b) − b)² − c),  b = ⌈1.769·√2/S⌉,  c = ⌈2/(0.2888·S²)⌉
 *     v    = x·(⌈1/(0.2888·2^−12/2)⌉ − ⌊L / 2^(2f−12)⌋)
 *
 * L is erf(x·S/√2) in units of −0.2888·S²/2, and below 0 for x > 0. I-BERT's code shifts it by 14 bits, which suits
 * the scales of 32-bit accumulators; here it is brought to 16 bits and a sign for each f.
 *
 * @returns GELU in units of S·0.2888·2^−14: within ±`IBERT_GELU_LIMIT`
 */
export function geluInteger(x: number, f: number): number {
  const [b, c] = [ERF_B[f - LEAST_GELU_BITS], ERF_C[f - LEAST_GELU_BITS]];
  const polynomial = (Math.min(Math.abs(x), b) - b) ** 2 - c;
  const erf = x === 0 ? 0 : x > 0 ? polynomial : -polynomial;
  return x * (ERF_ONE - (erf >> (2 * (f - LEAST_GELU_BITS))));
}
