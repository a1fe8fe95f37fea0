import type { ChannelStatistics } from '../calibrate/statistics.js';
import type { AttentionNode, AttentionView } from '../graph/types.js';
import { channelRange, type RangeMethod } from './ranges.js';

/** How codes map to real numbers: real = (code − zero)·scale[c] + center[c] (dynamic rows: code − 128 times M'). */
export interface ChannelScales {
  readonly scale: Float64Array;
  readonly center: Float64Array;
}

/** Codes on either side of the zero point. */
export const CODE_LIMIT = 127;
/** A channel's half-width is at least this share of the tensor's largest: dead channels must not make scales of 0. */
const LEAST_SHARE = 1e-4;

export interface RangeOptions {
  readonly method: RangeMethod;
  /** Ranges are widened by this factor: a few hundred images under-estimate them. */
  readonly headRoom: number;
  /** Whether ranges that need not be symmetric about zero may have their middle elsewhere. */
  readonly centred: boolean;
}

/** Half-widths and mid-points of every channel's range, dead channels raised to a tiny share of the largest. */
export function channelExtents(
  statistics: ChannelStatistics,
  { method, headRoom, centred }: RangeOptions,
  aboutZero: boolean,
): { half: Float64Array; middle: Float64Array } {
  const C = statistics.channels;
  const half = new Float64Array(C);
  const middle = new Float64Array(C);
  const symmetric = aboutZero || !centred;
  for (let c = 0; c < C; c++) {
    const { lo, hi } = channelRange(statistics, c, method);
    middle[c] = symmetric ? 0 : (lo + hi) / 2;
    half[c] = headRoom * (symmetric ? Math.max(Math.abs(lo), Math.abs(hi)) : (hi - lo) / 2);
  }
  const largest = half.reduce((a, b) => Math.max(a, b), 0) || 1;
  for (let c = 0; c < C; c++) half[c] = Math.max(half[c], LEAST_SHARE * largest);
  return { half, middle };
}

/**
 * A channel's own range is an estimate from few extremes, the tensor's from many: leaning on the latter leaves most channels
 * room above what calibration saw. Full strength measured worse on images that were held out (DeiT-Tiny).
 */
const MOST_STRENGTH = 0.75;

/**
 * The best strength α between per tensor (0) and per channel (1), for `withStrength`.
 *
 * The strength trades two errors at the layer's output, both known in closed form: activation rounding,
 * Σ_k s_k²/12·Σ_n W[n,k]², and weight rounding, Σ_n (max_k |W[n,k]·s_k|/127)²/12·Σ_k Var[x_k/s_k]: of that the bias takes
 * back the mean.
 *
 * @param weight [N, K] of the layers that read the codes, one below the other
 * @param variance of each channel
 */
export function chooseStrength(
  half: Float64Array,
  variance: Float64Array,
  weight: Float32Array,
  weightLimit: number,
): number {
  const K = half.length;
  const N = weight.length / K;
  const energy = new Float64Array(K);
  for (let n = 0; n < N; n++) for (let k = 0; k < K; k++) energy[k] += weight[n * K + k] ** 2;
  let best = 1;
  let least = Infinity;
  for (let strength = 0; strength <= MOST_STRENGTH; strength += 0.125) {
    const widths = withStrength(half, strength);
    let activation = 0;
    let codes = 0;
    for (let k = 0; k < K; k++) {
      const s = widths[k] / CODE_LIMIT;
      activation += ((s * s) / 12) * energy[k];
      codes += variance[k] / (s * s);
    }
    let weights = 0;
    for (let n = 0; n < N; n++) {
      let max = 0;
      for (let k = 0; k < K; k++) max = Math.max(max, Math.abs(weight[n * K + k]) * widths[k]);
      weights += (max / CODE_LIMIT / weightLimit) ** 2 / 12;
    }
    const error = activation + weights * codes;
    if (error < least) {
      least = error;
      best = strength;
    }
  }
  return best;
}

/** Half-widths at a strength: half[c]^α·max^(1−α), never below half[c]. */
export function withStrength(half: Float64Array, strength: number): Float64Array {
  const largest = half.reduce((a, b) => Math.max(a, b), 0);
  return half.map((h) => h ** strength * largest ** (1 - strength));
}

export function variances(statistics: ChannelStatistics): Float64Array {
  return statistics.sum.map((sum, c) => {
    const mean = sum / statistics.count;
    return Math.max(0, statistics.sumOfSquares[c] / statistics.count - mean * mean);
  });
}

/** Scales of one attention's operands, by column of the value each is read from. */
export interface OperandScales {
  readonly q: ChannelScales;
  readonly k: ChannelScales;
  readonly v: ChannelScales;
  /** s_q·s_k of each head. */
  readonly product: Float64Array;
}

/** The column of a view's source, of `columns` columns, that holds channel c of head h. Norms per head share columns. */
export const viewColumn = (view: AttentionView, columns: number, h: number, c: number): number =>
  (view.offset + h * view.headStride + c) % columns;

/**
 * Scales of q, k and v, per channel. Only the product of q's and k's scale must be the same for all channels of a head:
 * σ = max_c A_c·B_c/127² of the ranges A of q and B of k, and s_q = √(σ·A_c/B_c), s_k = √(σ·B_c/A_c) shares the slack
 * of every other channel evenly between the two. A constant added to k adds the same to all scores of a query, which
 * softmax ignores, so k is centred; v is centred too, as Σ softmax = 1 hands its centre through to the output.
 */
export function operandScales(
  node: AttentionNode,
  statistics: ReadonlyMap<string, ChannelStatistics>,
  range: RangeOptions,
  /** False where the consumers take no centre back out of the output. */
  centreValues: boolean,
): OperandScales {
  const extents = (view: AttentionView, symmetric: boolean) =>
    channelExtents(statistics.get(view.source)!, range, symmetric);
  const q = extents(node.q, true);
  const k = extents(node.k, false);
  const v = extents(node.v, !centreValues);
  const blank = (view: AttentionView): ChannelScales => {
    const columns = statistics.get(view.source)!.channels;
    return { scale: new Float64Array(columns).fill(1), center: new Float64Array(columns) };
  };
  const scales: OperandScales = { q: blank(node.q), k: blank(node.k), v: blank(node.v), product: new Float64Array(node.heads) };
  // Norms per head write all heads into the same columns: these then have one scale, and so have the other operand's.
  const isShared = node.q.stride > q.half.length || node.k.stride > k.half.length;
  const reach = (view: AttentionView, half: Float64Array, h: number, c: number): number => {
    if (!isShared) return half[viewColumn(view, half.length, h, c)];
    let most = 0;
    for (let other = 0; other < node.heads; other++) most = Math.max(most, half[viewColumn(view, half.length, other, c)]);
    return most;
  };
  for (let h = 0; h < node.heads; h++) {
    let product = 0;
    for (let c = 0; c < node.dim; c++) {
      product = Math.max(product, (reach(node.q, q.half, h, c) * reach(node.k, k.half, h, c)) / CODE_LIMIT ** 2);
    }
    scales.product[h] = product;
    for (let c = 0; c < node.dim; c++) {
      const [qc, kc] = [viewColumn(node.q, q.half.length, h, c), viewColumn(node.k, k.half.length, h, c)];
      const [a, b] = [reach(node.q, q.half, h, c), reach(node.k, k.half, h, c)];
      scales.q.scale[qc] = Math.sqrt((product * a) / b);
      scales.k.scale[kc] = Math.sqrt((product * b) / a);
      scales.k.center[kc] = k.middle[kc];
    }
    for (let c = 0; c < node.valueDim; c++) {
      const vc = viewColumn(node.v, v.half.length, h, c);
      scales.v.scale[vc] = v.half[vc] / CODE_LIMIT;
      scales.v.center[vc] = v.middle[vc];
    }
  }
  return scales;
}
