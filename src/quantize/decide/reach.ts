/** How far values reach, by channel. */
import type { ChannelStatistics } from '../../calibrate/statistics.js';
import { QUANTIZED_LIMIT } from './encoding.js';
import { channelRange, type RangeMethod } from './ranges.js';

/** A channel's half-width is at least this share of the tensor's largest: dead channels must not make scales of 0. */
const LEAST_SHARE = 1e-4;

export interface RangeOptions {
  readonly method: RangeMethod;
  /** Factors to widen ranges by, to choose among: a few hundred images under-estimate them. */
  readonly rangeMargins: readonly number[];
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

/** Quantized values of 8 bits. */
const LARGEST = 255;
/** Half of them, which a symmetric range has on either side. */
const HALF = 127;
/** The middle value stands for zero, or one of these. */
const ZEROS = [128, 0, 4, 8, 16, 24, 32, 48, 64, 96];
/** Another than the middle is worth it where it makes steps so much finer. */
const LEAST_GAIN = 0.9;

/** Which quantized value is best to stand for zero, by the steps that it leaves to the channels. */
export function chooseZero(reach: Reach): number {
  const cost = (zero: number): number =>
    aboutZeroPoint(reach, zero).above.reduce((sum, r) => sum + r * r, 0) * (zero === 128 ? LEAST_GAIN : 1);
  return leastBy(ZEROS, cost);
}

/** The reach, to either side of a zero in the middle, that asks for the steps which a zero elsewhere does. */
export function aboutZeroPoint(reach: Reach, zero: number): Reach {
  const sides = [LARGEST - zero, zero];
  const needed = (above: Float64Array, below: Float64Array): Float64Array =>
    above.map((a, c) => {
      const [up, down] = zero === 128 ? [a, below[c]] : [(a * HALF) / sides[0], belowZero(below[c] * HALF, sides[1])];
      return Math.max(up, down);
    });
  const both = needed(reach.above, reach.below);
  const next = needed(reach.aboveNext, reach.belowNext);
  return { center: reach.center, above: both, below: both, aboveNext: next, belowNext: next };
}

/** No steps reach below a zero that is the least value. */
const belowZero = (extent: number, steps: number): number => (steps > 0 ? extent / steps : extent > 0 ? Infinity : 0);

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

/** S of an 8-bit tensor, from all its channels. */
export function tensorScale(statistics: ChannelStatistics, range: RangeOptions): number {
  return channelExtents(statistics, range, true).half.reduce((a, b) => Math.max(a, b)) / QUANTIZED_LIMIT;
}

export function raiseDead(half: Float64Array): void {
  const largest = half.reduce((a, b) => Math.max(a, b), 0) || 1;
  for (let c = 0; c < half.length; c++) half[c] = Math.max(half[c], LEAST_SHARE * largest);
}

/** The candidate of least cost, the first of equals. */
export function leastBy<T>(candidates: readonly T[], cost: (candidate: T) => number): T {
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

/** Of each channel, [channels]. */
export function variances(statistics: ChannelStatistics): Float64Array {
  return statistics.sum.map((sum, c) => {
    const mean = sum / statistics.count;
    return Math.max(0, statistics.sumOfSquares[c] / statistics.count - mean * mean);
  });
}
