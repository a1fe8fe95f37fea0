import { softmaxFloat } from '../float-kernels/index.js';
import type { AttentionOp, PublishedSoftmax, SoftmaxBits, SoftmaxKind } from '../program/types.js';
import { SCORE_LIMIT } from '../program/limits.js';
import { floorDivide, requantize } from './dyadic.js';
import { softmaxInteger } from './ibert.js';
import { shiftmaxRow } from './paper-rows.js';
import { locate } from './view.js';

/** Clamp of the published softmax's 8-bit scores. */
const PAPER_SCORE_LIMIT = 127;
/** 0.17157 = 4·(3/4 − 2^(−1/2)) in Q14: makes 1 − r/2 − κ·r·(1 − r) equal 2^−r at r = ½. */
const KAPPA = 2811;

/** x = clamp(((s·b + 2^(c−1)) >> c) + bias, ±2^30) of one score s, |s| < 2^31, |bias| ≤ 2^28. */
export function scaleScore(s: number, b: number, c: number, bias: number): number {
  const x = requantize(s, { b, c }, 0n, -SCORE_LIMIT, SCORE_LIMIT) + bias;
  return Math.max(-SCORE_LIMIT, Math.min(SCORE_LIMIT, x));
}

/**
 * The dither of a softmax weight: what is added to the exponential of key j in the row of query i before it is rounded
 * to 8 bits, in Q14. It lies between −32 and 31, half a step of the weight to either side, and is spread evenly along
 * rows and columns. Most keys have a weight below half a step; without dither they would all become 0, and what they
 * hold together would be lost. Weights of 12 bits need none: theirs is 0.
 */
export function softmaxDither(query: number, key: number, bits: SoftmaxBits = 8): number {
  return bits > 8 ? 0 : ((27 * query + 39 * key) & 63) - 32;
}

/**
 * The softmax weight, before normalisation, of a score x that lies d = max − x ≥ 0 below the row's maximum. d is in
 * log2 units with p fraction bits. The weight is W·2^(−d/2^p), up to the exponential's approximation, rounded.
 * W, the weight at d = 0, is 255 for 8 bits and 16·255 for 12.
 *
 *     q = d >> p,  r = the low p bits of d in Q14
 *     shift:      m = 2^14 − (r >> 1)
 *     quadratic:  m = 2^14 − (r >> 1) − ((((r·(2^14 − r)) >> 14)·κ + 2^13) >> 14)
 *     w = (W·((m >> q) + dither) + 2^13) >> 14            (m >> q is 0 from q = 15 on)
 *
 * The shift form is I-ViT's ShiftExp in a fixed unit of log2 (eq. 12 to 14): shifts and adds only.
 *
 * @param dither see `softmaxDither`; 0: w is the nearest integer
 */
export function softmaxWeight(d: number, p: number, kind: SoftmaxKind, bits: SoftmaxBits = 8, dither = 0): number {
  if (d >= 16 << p) return 0;
  return ((255 << (bits - 8)) * ((softmaxMantissa(d, p, kind) >> (d >> p)) + dither) + (1 << 13)) >> 14;
}

/** m above: 2^−r in Q14, up to the exponential's approximation. */
export function softmaxMantissa(d: number, p: number, kind: SoftmaxKind): number {
  const r = (d & ((1 << p) - 1)) << (14 - p);
  const m = (1 << 14) - (r >> 1);
  return kind === 'shift' ? m : m - ((((r * ((1 << 14) - r)) >> 14) * KAPPA + (1 << 13)) >> 14);
}

/**
 * Deferred normalisation: the weighted mean of v in units of 2^−23, for weights w of b bits:
 *
 *     o = (Σ w·v · ⌊2^(23+b) / Σw⌋ + 2^(b−1)) >> b
 *
 * |Σ w·v| ≤ 127·Σw, so |o| < 2^30.
 *
 * @param sum Σw ≥ 255·2^(b−8)
 */
export function normalizeSum(acc: number, sum: number, bits: SoftmaxBits = 8): number {
  return requantize(acc, { b: floorDivide(2147483648 * (1 << (bits - 8)), sum), c: bits }, 0n, -2147483647, 2147483647);
}

/** The quantized values that the views of an attention are of. */
interface AttentionSources {
  readonly q: Int8Array;
  readonly k: Int8Array;
}

/**
 * Scaled scores x of one query row and one head (`scaleScore`), one for each key.
 *
 * @param row window·queries + query
 * @param out [keys], overwritten
 * @returns the largest of them
 */
export function scoreRow(
  op: AttentionOp,
  sources: AttentionSources,
  row: number,
  head: number,
  out: Int32Array,
): number {
  const { queries, keys, dim } = op;
  const window = floorDivide(row, queries);
  const biasAt = (((window % op.biasBatch) * op.biasHeads + (head % op.biasHeads)) * queries + (row % queries)) * keys;
  const qAt = locate(op.q, row, head);
  let max = -SCORE_LIMIT;
  for (let j = 0; j < keys; j++) {
    const kAt = locate(op.k, window * keys + j, head);
    let s = 0;
    for (let i = 0; i < dim; i++) s += sources.q[qAt + i] * sources.k[kAt + i];
    out[j] = scaleScore(s, op.scoreMultiplier[head], op.scoreShift, op.bias === null ? 0 : op.bias[biasAt + j]);
    max = Math.max(max, out[j]);
  }
  return max;
}

/**
 * Softmax weights w of one row of scores: `softmaxWeight` with its dither, or a published softmax.
 *
 * @param scores [keys], see `scoreRow`
 * @param max the largest of them
 * @param query its row within the window
 * @param out [keys], overwritten
 * @returns Σw
 */
export function weighRow(op: AttentionOp, scores: Int32Array, max: number, query: number, out: Int32Array): number {
  const { softmax, softmaxBits, fractionBits } = op;
  let sum = 0;
  if (typeof softmax !== 'string') {
    weighPublished(scores, max, softmax, out);
    for (const w of out) sum += w;
    return sum;
  }
  for (let j = 0; j < scores.length; j++) {
    const dither = softmaxDither(query, j, softmaxBits);
    out[j] = softmaxWeight(max - scores[j], fractionBits, softmax, softmaxBits, dither);
    sum += out[j];
  }
  return sum;
}

function weighPublished(scores: Int32Array, max: number, softmax: PublishedSoftmax, out: Int32Array): void {
  if (softmax.kind === 'float') return softmaxFloat(scores, max, out);
  if (softmax.kind === 'ibert') return softmaxInteger(scores, max, softmax.bits, out);
  const x = scores.map((s) => Math.max(-PAPER_SCORE_LIMIT, Math.min(PAPER_SCORE_LIMIT, s)));
  shiftmaxRow(x, BigInt(softmax.x0), softmax.bits).forEach((w, j) => (out[j] = Number(w)));
}

/**
 * Integer attention of one query row and one head, before its output is requantized: o = Σ w·v / Σw
 * (`normalizeSum` has its unit). With a published softmax o = Σ w·v, |o| < 2^31, in units of its weights.
 *
 * @param sources the quantized values that q, k and v are views of
 * @param row window·queries + query
 * @param out [valueDim], overwritten
 */
export function attendRow(
  op: AttentionOp,
  sources: AttentionSources & { readonly v: Int8Array },
  row: number,
  head: number,
  out: Int32Array,
): void {
  const { queries, keys, valueDim, softmaxBits } = op;
  const window = floorDivide(row, queries);
  const scores = new Int32Array(keys);
  const max = scoreRow(op, sources, row, head, scores);
  const weights = new Int32Array(keys);
  const sum = weighRow(op, scores, max, row % queries, weights);
  out.fill(0);
  for (let j = 0; j < keys; j++) {
    const vAt = locate(op.v, window * keys + j, head);
    for (let i = 0; i < valueDim; i++) out[i] += weights[j] * sources.v[vAt + i];
  }
  if (typeof op.softmax !== 'string') return;
  for (let i = 0; i < valueDim; i++) out[i] = normalizeSum(out[i], sum, softmaxBits);
}
