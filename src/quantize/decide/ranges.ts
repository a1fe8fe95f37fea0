import { ChannelStatistics } from '../../calibrate/statistics.js';

export const METHODS = ['minmax', 'momentum', 'percentile', 'mse', 'entropy'] as const;
export type RangeMethod = (typeof METHODS)[number];

export interface Range {
  readonly lo: number;
  readonly hi: number;
}

const BINS = ChannelStatistics.bins;
/** Share of the values that `percentile` keeps on either side. */
const PERCENTILE = 0.9999;
/** Code levels that `mse` and `entropy` assume. */
const LEVELS = 255;

/** The range of channel c by the given method. A channel never seen, or constant, has lo = hi. */
export function channelRange(statistics: ChannelStatistics, c: number, method: RangeMethod): Range {
  const full = { lo: statistics.min[c], hi: statistics.max[c] };
  if (!(full.lo <= full.hi)) return { lo: 0, hi: 0 };
  switch (method) {
    case 'minmax':
      return full;
    case 'momentum':
      return { lo: statistics.momentumMin[c], hi: statistics.momentumMax[c] };
    case 'percentile':
      return percentileRange(statistics, c, full);
    case 'mse':
      return shrink(statistics, c, full, squaredError);
    case 'entropy':
      return shrink(statistics, c, full, divergence);
  }
}

function bins(statistics: ChannelStatistics, c: number): { counts: Float64Array; width: number; start: number } {
  const reach = statistics.reach[c];
  return {
    counts: statistics.histogram.subarray(c * BINS, (c + 1) * BINS),
    width: (2 * reach) / BINS,
    start: -reach,
  };
}

function percentileRange(statistics: ChannelStatistics, c: number, full: Range): Range {
  const { counts, width, start } = bins(statistics, c);
  const tail = statistics.count * (1 - PERCENTILE);
  let b = 0;
  for (let seen = counts[0]; seen < tail && b < BINS - 1; seen += counts[++b]);
  let t = BINS - 1;
  for (let seen = counts[t]; seen < tail && t > b; seen += counts[--t]);
  return { lo: Math.max(full.lo, start + b * width), hi: Math.min(full.hi, start + (t + 1) * width) };
}

type Cost = (counts: Float64Array, width: number, start: number, range: Range) => number;

/** The range, among shrunken copies of the full one, with the least cost. */
function shrink(statistics: ChannelStatistics, c: number, full: Range, cost: Cost): Range {
  const { counts, width, start } = bins(statistics, c);
  if (width === 0) return full;
  let best = full;
  let least = Infinity;
  for (let share = 1; share >= 0.3; share -= 0.05) {
    const range = { lo: full.lo * share, hi: full.hi * share };
    const value = cost(counts, width, start, range);
    if (value < least) {
      least = value;
      best = range;
    }
  }
  return best;
}

/**
 * Sum of squared errors of quantizing the histogram to LEVELS steps over the range: rounding inside, clipping outside.
 */
function squaredError(counts: Float64Array, width: number, start: number, { lo, hi }: Range): number {
  const rounding = ((hi - lo) / LEVELS) ** 2 / 12;
  let sum = 0;
  for (let b = 0; b < BINS; b++) {
    const x = start + (b + 0.5) * width;
    const outside = x < lo ? lo - x : x > hi ? x - hi : 0;
    sum += counts[b] * (rounding + outside * outside);
  }
  return sum;
}

/** KL divergence of the histogram from its copy clipped to the range and smoothed to LEVELS steps. */
function divergence(counts: Float64Array, width: number, start: number, { lo, hi }: Range): number {
  const step = (hi - lo) / LEVELS;
  const total = counts.reduce((a, b) => a + b, 0);
  const q = new Float64Array(BINS);
  const at = (x: number) => Math.max(0, Math.min(BINS - 1, Math.floor((x - start) / width)));
  const [first, last] = [at(lo), at(hi)];
  // Each level spreads its mass evenly over the occupied bins it covers; what lies outside goes to the end bins.
  const perLevel = Math.max(1, Math.round(step / width));
  for (let b = first; b <= last; b += perLevel) {
    const end = Math.min(last + 1, b + perLevel);
    let mass = 0;
    let occupied = 0;
    for (let i = b; i < end; i++) {
      mass += counts[i];
      if (counts[i] > 0) occupied++;
    }
    for (let i = b; i < end; i++) if (counts[i] > 0) q[i] = mass / occupied;
  }
  let clipped = 0;
  for (let b = 0; b < first; b++) clipped += counts[b];
  let above = 0;
  for (let b = last + 1; b < BINS; b++) above += counts[b];
  const p = Float64Array.from(counts);
  p.fill(0, 0, first);
  p.fill(0, last + 1);
  p[first] += clipped;
  p[last] += above;
  let sum = 0;
  for (let b = first; b <= last; b++)
    if (p[b] > 0) sum += (p[b] / total) * Math.log(p[b] / Math.max(q[b], 1e-9 * total));
  return sum;
}
