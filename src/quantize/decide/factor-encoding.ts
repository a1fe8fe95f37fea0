/** How values are written that are multiplied with each other, looked up in a table or normalized: 16 bits. */
import type { ChannelStatistics } from '../../calibrate/statistics.js';
import { QUANTIZED_LIMIT_16, type Encoding } from './encoding.js';

/**
 * Margin above the largest value seen: rare tokens, and the outliers of gated MLPs, are several times larger than those
 * of the calibration images, and 12 bits are left for the values that were seen.
 */
const FACTOR_MARGIN = 8;
/** A table covers the range that was seen and half as much again at either end: half of its entries are for those. */
const TABLE_MARGIN = 0.5;
/** Channels reach at least this share of the largest: a channel that was never seen alive may come alive. */
const LEAST_SHARE = 2 ** -8;
/** The same of sums over all tokens, as products have them: heads differ by more, and none is dead. */
export const LEAST_SHARE_OF_SUMS = 2 ** -12;

/**
 * i16 about zero, so that a zero stays one.
 *
 * @param cols of the value as it is read
 * @param scales 1: one scale for the tensor; numbers: one for all channels of one number; left out: one for each
 * channel, where it is read in rows of its channels
 * @param leastShare of the largest channel's reach, which every channel has
 * @param room the share of the margin that is kept
 */
export function factorEncoding(
  { channels, min, max }: ChannelStatistics,
  cols: number,
  scales?: 1 | readonly number[],
  leastShare = LEAST_SHARE,
  room = 1,
): Encoding {
  const reach = Float64Array.from({ length: channels }, (_, c) => Math.max(max[c], -min[c]));
  const largest = reach.reduce((most, r) => Math.max(most, r), 0) || 1;
  const perChannel = scales !== 1 && channels === cols;
  if (perChannel && scales !== undefined) shareReach(reach, scales);
  const scale = Float64Array.from(
    { length: cols },
    (_, c) =>
      ((perChannel ? Math.max(reach[c], largest * leastShare) : largest) * FACTOR_MARGIN * room) / QUANTIZED_LIMIT_16,
  );
  return { out: { type: 'i16' }, scale, center: new Float64Array(cols) };
}

/** Channels of one number reach as far as the furthest of them. */
function shareReach(reach: Float64Array, parts: readonly number[]): void {
  const most = new Map<number, number>();
  parts.forEach((part, c) => most.set(part, Math.max(most.get(part) ?? 0, reach[c])));
  parts.forEach((part, c) => (reach[c] = most.get(part)!));
}

/** i16 with one scale, the middle of the range that was seen at 0. */
export function tableEncoding({ min, max }: ChannelStatistics, cols: number): Encoding {
  const [low, high] = [min.reduce((a, b) => Math.min(a, b)), max.reduce((a, b) => Math.max(a, b))];
  const half = ((high - low) / 2) * (1 + 2 * TABLE_MARGIN) || 1;
  const center = (low + high) / 2;
  return {
    out: { type: 'i16' },
    scale: new Float64Array(cols).fill(half / QUANTIZED_LIMIT_16),
    center: new Float64Array(cols).fill(center),
  };
}
