import type { ChannelStatistics } from '../../calibrate/statistics.js';
import type { AttentionNode, AttentionView } from '../../graph/types.js';
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
  /** Factors to widen ranges by, to choose among: a few hundred images under-estimate them. */
  readonly headRooms: readonly number[];
  /** How much clipping on unseen images counts, squared error against squared error; 0: ranges are as observed. */
  readonly clipWeight: number;
  /** Whether ranges that need not be symmetric about zero may have their middle elsewhere. */
  readonly centred: boolean;
}

/** How far each channel reaches above and below a centre, and how far without the image that reaches farthest. */
export interface Reach {
  readonly center: Float64Array;
  readonly above: Float64Array;
  readonly below: Float64Array;
  readonly aboveNext: Float64Array;
  readonly belowNext: Float64Array;
}

/**
 * @param center of each channel; null: its mean
 * @param symmetric whether codes must reach as far below the centre as above it
 */
export function reachOf(
  statistics: ChannelStatistics,
  method: RangeMethod,
  center: Float64Array | null,
  symmetric: boolean,
): Reach {
  const C = statistics.channels;
  const blank = () => new Float64Array(C);
  const reach = {
    center: center ?? statistics.sum.map((sum) => sum / statistics.count),
    above: blank(),
    below: blank(),
    aboveNext: blank(),
    belowNext: blank(),
  };
  for (let c = 0; c < C; c++) {
    const { lo, hi } = channelRange(statistics, c, method);
    const t = reach.center[c];
    reach.above[c] = Math.max(0, hi - t);
    reach.below[c] = Math.max(0, t - lo);
    reach.aboveNext[c] = Math.max(0, Math.min(hi, statistics.nextMax[c]) - t);
    reach.belowNext[c] = Math.max(0, t - Math.max(lo, statistics.nextMin[c]));
    if (!symmetric) continue;
    reach.above[c] = reach.below[c] = Math.max(reach.above[c], reach.below[c]);
    reach.aboveNext[c] = reach.belowNext[c] = Math.max(reach.aboveNext[c], reach.belowNext[c]);
  }
  return reach;
}

/** Half-widths and mid-points of every channel's range, dead channels raised to a tiny share of the largest. */
export function channelExtents(
  statistics: ChannelStatistics,
  { method, centred }: Pick<RangeOptions, 'method' | 'centred'>,
  aboutZero: boolean,
): { half: Float64Array; middle: Float64Array } {
  const C = statistics.channels;
  const half = new Float64Array(C);
  const middle = new Float64Array(C);
  const symmetric = aboutZero || !centred;
  for (let c = 0; c < C; c++) {
    const { lo, hi } = channelRange(statistics, c, method);
    middle[c] = symmetric ? 0 : (lo + hi) / 2;
    half[c] = symmetric ? Math.max(Math.abs(lo), Math.abs(hi)) : (hi - lo) / 2;
  }
  raiseDead(half);
  return { half, middle };
}

function raiseDead(half: Float64Array): void {
  const largest = half.reduce((a, b) => Math.max(a, b), 0) || 1;
  for (let c = 0; c < half.length; c++) half[c] = Math.max(half[c], LEAST_SHARE * largest);
}

/** Strengths to choose among. */
const STRENGTHS = [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1];
/**
 * Of rows scaled by their own maximum, steps follow from the channel that reaches it, not from each channel's range: more
 * strength than this measured worse, by 0.5 dB at 0.75 and 1.2 dB at 1 (DeiT-Tiny).
 */
export const MOST_DYNAMIC_STRENGTH = 0.25;

/** Squared column norms of weight [N, K]: what an error of each input channel adds to the outputs'. */
function columnEnergies(weight: Float32Array, K: number): Float64Array {
  const energy = new Float64Array(K);
  for (let i = 0, k = 0; i < weight.length; i++, k = k + 1 < K ? k + 1 : 0) energy[k] += weight[i] ** 2;
  return energy;
}

/** Of half-widths: Σ_k s_k²/12·Σ_n W[n,k]². */
function activationError(half: Float64Array, energy: Float64Array): number {
  return half.reduce((sum, h, k) => sum + ((h / CODE_LIMIT) ** 2 / 12) * energy[k], 0);
}

/** Of half-widths: Σ_n (max_k |W[n,k]·s_k|/limit)²/12·Σ_k Var[x_k/s_k]; of what the mean adds, the bias makes up. */
function weightError(half: Float64Array, variance: Float64Array, weight: Float32Array, limit: number): number {
  const K = half.length;
  let steps = 0;
  for (let i = 0; i < weight.length; i += K) {
    let max = 0;
    for (let k = 0; k < K; k++) max = Math.max(max, Math.abs(weight[i + k]) * half[k]);
    steps += (max / CODE_LIMIT / limit) ** 2 / 12;
  }
  return steps * half.reduce((sum, h, k) => sum + variance[k] / (h / CODE_LIMIT) ** 2, 0);
}

export interface ChosenRanges {
  readonly half: Float64Array;
  readonly middle: Float64Array;
  readonly strength: number;
  readonly headRoom: number;
}

/**
 * The codes' range of every channel, for layers that read them with `weight`: h·reach^α·largest^(1−α) above and below its
 * centre. The head-room h and the strength α between per tensor (0) and per channel (1) are those that make the least
 * error at the layers' output, by rounding activations, by rounding weights, and by clipping on unseen images. Of these,
 * each calibration image is one in turn: a range chosen without it clips what it reaches beyond, and only the image that
 * reaches farthest does.
 *
 * @param weight [N, K] of the layers that read the codes, one below the other
 * @param strengths to choose among
 */
export function chooseRanges(
  statistics: ChannelStatistics,
  reach: Reach,
  weight: Float32Array,
  weightLimit: number,
  { headRooms, clipWeight }: RangeOptions,
  strengths: readonly number[] = STRENGTHS,
): ChosenRanges {
  const energy = columnEnergies(weight, statistics.channels);
  const variance = variances(statistics);
  const [mostAbove, mostBelow] = [reach.above, reach.below].map((r) => r.reduce((a, b) => Math.max(a, b), 0));
  let best: ChosenRanges | undefined;
  let least = Infinity;
  for (const strength of strengths) {
    const limitOf = (v: number, most: number) => v ** strength * most ** (1 - strength);
    const above = reach.above.map((v) => limitOf(v, mostAbove));
    const below = reach.below.map((v) => limitOf(v, mostBelow));
    const half = above.map((a, k) => (a + below[k]) / 2);
    raiseDead(half);
    const [activations, weights] = [activationError(half, energy), weightError(half, variance, weight, weightLimit)];
    for (const headRoom of headRooms) {
      const clipping = energy.reduce((sum, e, k) => {
        const over = Math.max(0, reach.above[k] - headRoom * limitOf(reach.aboveNext[k], mostAbove));
        const under = Math.max(0, reach.below[k] - headRoom * limitOf(reach.belowNext[k], mostBelow));
        return sum + e * (over * over + under * under);
      }, 0);
      const error = headRoom ** 2 * activations + weights + (clipWeight * clipping) / statistics.count;
      if (error >= least) continue;
      least = error;
      const middle = reach.center.map((t, k) => t + (headRoom * (above[k] - below[k])) / 2);
      best = { half: half.map((h) => headRoom * h), middle, strength, headRoom };
    }
  }
  return best!;
}

/**
 * The strength, as `chooseRanges` chooses it, for codes that do not clip.
 *
 * @param finer how many times finer the codes' steps are than those of 8 bits
 * @param most the greatest strength to choose
 */
export function chooseStrength(
  half: Float64Array,
  variance: Float64Array,
  weight: Float32Array,
  weightLimit: number,
  finer: number,
  most: number,
): number {
  const energy = columnEnergies(weight, half.length);
  return leastBy(
    STRENGTHS.filter((strength) => strength <= most),
    (strength) => {
      const widths = withStrength(half, strength);
      return activationError(widths, energy) / finer ** 2 + weightError(widths, variance, weight, weightLimit);
    },
  );
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
 * Scales of q, k and v, per channel. Only the product σ of q's and k's scale must be the same for all channels of a head:
 * with the ranges A of q and B of k, s_q = √(σ·A/B) and s_k = √(σ·B/A) share what a channel has to spare evenly between the
 * two. A constant added to k adds the same to all scores of a query, which softmax ignores, so k is centred; v is centred
 * too, as Σ softmax = 1 hands its centre through to the output. σ, and v's head-room, are chosen as `chooseRanges` does.
 */
export function operandScales(
  node: AttentionNode,
  statistics: ReadonlyMap<string, ChannelStatistics>,
  range: RangeOptions,
  /** False where the consumers take no centre back out of the output. */
  centreValues: boolean,
): OperandScales {
  const { method, centred } = range;
  const [qSeen, kSeen, vSeen] = [node.q, node.k, node.v].map((view) => statistics.get(view.source)!);
  const q = reachOf(qSeen, method, new Float64Array(qSeen.channels), true);
  const k = reachOf(kSeen, method, centred ? middles(kSeen, method) : new Float64Array(kSeen.channels), true);
  const v = reachOf(
    vSeen,
    method,
    centred && centreValues ? middles(vSeen, method) : new Float64Array(vSeen.channels),
    true,
  );
  for (const reach of [q.above, k.above, v.above]) raiseDead(reach);
  const [qEnergy, kEnergy] = [energies(qSeen, q.center), energies(kSeen, k.center)];
  const blank = (C: number): ChannelScales => ({ scale: new Float64Array(C).fill(1), center: new Float64Array(C) });
  const scales: OperandScales = {
    q: blank(qSeen.channels),
    k: blank(kSeen.channels),
    v: blank(vSeen.channels),
    product: new Float64Array(node.heads),
  };
  const valueRoom = chooseValueRoom(node, vSeen, v, range);
  // Norms per head write all heads into the same columns: these then have one scale, and so have the other operand's.
  const isShared = node.q.stride > qSeen.channels || node.k.stride > kSeen.channels;
  if (isShared)
    for (const [view, reach] of [
      [node.q, q],
      [node.k, k],
    ] as const)
      shareAmongHeads(node, view, reach);
  const columns = Array.from({ length: node.heads }, (_, h) =>
    Array.from(
      { length: node.dim },
      (_, c) => [viewColumn(node.q, qSeen.channels, h, c), viewColumn(node.k, kSeen.channels, h, c)] as const,
    ),
  );
  for (let h = 0; h < node.heads; h++) {
    const product = chooseProduct(isShared ? columns.flat() : columns[h], q, k, qEnergy, kEnergy, qSeen.count, range);
    scales.product[h] = product;
    for (const [qc, kc] of columns[h]) {
      scales.q.scale[qc] = Math.sqrt((product * q.above[qc]) / k.above[kc]);
      scales.k.scale[kc] = Math.sqrt((product * k.above[kc]) / q.above[qc]);
      scales.k.center[kc] = k.center[kc];
    }
    for (let c = 0; c < node.valueDim; c++) {
      const vc = viewColumn(node.v, vSeen.channels, h, c);
      scales.v.scale[vc] = (valueRoom * v.above[vc]) / CODE_LIMIT;
      scales.v.center[vc] = v.center[vc];
    }
  }
  return scales;
}

/** Makes a channel reach equally far in every head. */
function shareAmongHeads(node: AttentionNode, view: AttentionView, { center, ...reach }: Reach): void {
  for (const side of Object.values(reach)) {
    for (let c = 0; c < node.dim; c++) {
      const columns = Array.from({ length: node.heads }, (_, h) => viewColumn(view, center.length, h, c));
      const most = columns.reduce((a, column) => Math.max(a, side[column]), 0);
      for (const column of columns) side[column] = most;
    }
  }
}

/** The middle of each channel's range. */
function middles(statistics: ChannelStatistics, method: RangeMethod): Float64Array {
  return Float64Array.from({ length: statistics.channels }, (_, c) => {
    const { lo, hi } = channelRange(statistics, c, method);
    return (lo + hi) / 2;
  });
}

/** Mean squares about a centre. */
function energies(statistics: ChannelStatistics, center: Float64Array): Float64Array {
  const { sum, sumOfSquares, count } = statistics;
  return center.map((t, c) => sumOfSquares[c] / count - (2 * t * sum[c]) / count + t * t);
}

/** What a channel of reach `seen`, `next` without the farthest image, is clipped by at a limit, squared. */
function clipped(seen: number, next: number, limit: number): number {
  return Math.max(0, seen - (limit * next) / seen) ** 2;
}

/** The head-room of v with the least error. */
function chooseValueRoom(
  node: AttentionNode,
  { channels, count }: ChannelStatistics,
  { above, aboveNext }: Reach,
  { headRooms, clipWeight }: RangeOptions,
): number {
  const columns = new Set<number>();
  for (let h = 0; h < node.heads; h++)
    for (let c = 0; c < node.valueDim; c++) columns.add(viewColumn(node.v, channels, h, c));
  return leastBy(headRooms, (headRoom) => {
    let error = 0;
    for (const c of columns) {
      const limit = headRoom * above[c];
      error += (limit / CODE_LIMIT) ** 2 / 12 + (clipWeight * clipped(above[c], aboveNext[c], limit)) / count;
    }
    return error;
  });
}

/** σ of a head with the least error of its scores. */
function chooseProduct(
  channels: readonly (readonly [q: number, k: number])[],
  q: Reach,
  k: Reach,
  qEnergy: Float64Array,
  kEnergy: Float64Array,
  count: number,
  { headRooms, clipWeight }: RangeOptions,
): number {
  const largest = channels.reduce((most, [qc, kc]) => Math.max(most, (q.above[qc] * k.above[kc]) / CODE_LIMIT ** 2), 0);
  const room = leastBy(headRooms, (headRoom) => {
    const product = headRoom ** 2 * largest;
    let error = 0;
    for (const [qc, kc] of channels) {
      const [qs, ks] = [
        Math.sqrt((product * q.above[qc]) / k.above[kc]),
        Math.sqrt((product * k.above[kc]) / q.above[qc]),
      ];
      error += (qs * qs * kEnergy[kc] + ks * ks * qEnergy[qc]) / 12;
      error +=
        (clipWeight / count) *
        (clipped(q.above[qc], q.aboveNext[qc], CODE_LIMIT * qs) * kEnergy[kc] +
          clipped(k.above[kc], k.aboveNext[kc], CODE_LIMIT * ks) * qEnergy[qc]);
    }
    return error;
  });
  return room ** 2 * largest;
}

function leastBy<T>(candidates: readonly T[], cost: (candidate: T) => number): T {
  let [best] = candidates;
  let least = Infinity;
  for (const candidate of candidates) {
    const value = cost(candidate);
    if (value >= least) continue;
    least = value;
    best = candidate;
  }
  return best;
}
