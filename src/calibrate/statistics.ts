import { InputError } from '../errors.js';
import { countInBins, momentsOf, type ChannelMoments } from './numerics.js';

const BINS = 256;
/** All but the histogram. */
const PER_CHANNEL = [
  'min',
  'max',
  'nextMin',
  'nextMax',
  'momentumMin',
  'momentumMax',
  'sum',
  'sumOfSquares',
  'reach',
] as const;
/** Share of the old value that the published observer keeps at each image. */
const MOMENTUM = 0.95;

/**
 * Streaming statistics of one tensor, per channel: range, running (momentum) range, and a histogram over a symmetric
 * interval [−R, R). The interval doubles when a value falls outside. Memory does not grow with the number of images.
 * Two statistics of the same tensor can be merged. Arrays without a shape beside them are [channels].
 */
export class ChannelStatistics {
  readonly min: Float64Array;
  readonly max: Float64Array;
  /** The range without the image that reaches farthest, on either side. Of a single image, its own range. */
  readonly nextMin: Float64Array;
  readonly nextMax: Float64Array;
  readonly momentumMin: Float64Array;
  readonly momentumMax: Float64Array;
  readonly sum: Float64Array;
  readonly sumOfSquares: Float64Array;
  /** [channels, BINS] counts. */
  readonly histogram: Float64Array;
  /** R of each channel's histogram, a power of two; 0 while the channel has only held zeros. */
  readonly reach: Float64Array;
  images = 0;
  /** Values seen in each channel. */
  count = 0;

  /** @param withHistogram false: ranges and moments only, several times faster */
  constructor(
    readonly channels: number,
    readonly withHistogram = true,
  ) {
    this.min = new Float64Array(channels).fill(Infinity);
    this.max = new Float64Array(channels).fill(-Infinity);
    this.nextMin = new Float64Array(channels).fill(Infinity);
    this.nextMax = new Float64Array(channels).fill(-Infinity);
    this.momentumMin = new Float64Array(channels);
    this.momentumMax = new Float64Array(channels);
    this.sum = new Float64Array(channels);
    this.sumOfSquares = new Float64Array(channels);
    this.histogram = new Float64Array(withHistogram ? channels * BINS : 0);
    this.reach = new Float64Array(channels);
  }

  static readonly bins = BINS;

  /** The same statistics for so many channels, which take turns: those of windows over a map. */
  repeated(channels: number): ChannelStatistics {
    const all = new ChannelStatistics(channels, this.withHistogram);
    for (let c = 0; c < channels; c++) {
      const from = c % this.channels;
      for (const field of PER_CHANNEL) all[field][c] = this[field][from];
      if (this.withHistogram) all.histogram.set(this.histogram.subarray(from * BINS, (from + 1) * BINS), c * BINS);
    }
    all.images = this.images;
    all.count = this.count;
    return all;
  }

  /** Adds one image's values, [rows, channels] row-major. */
  observe(data: Float32Array): void {
    this.add(momentsOf(data, this.channels), data);
  }

  /**
   * Adds one image.
   *
   * @param data its values; only histograms need them
   * @throws InputError where a value is not finite
   */
  add({ rows, low, high, sum, squares }: ChannelMoments, data?: Float32Array): void {
    const { min, max, nextMin, nextMax, images } = this;
    for (let c = 0; c < this.channels; c++) {
      // A NaN among numbers shows in the sum alone.
      if (!Number.isFinite(low[c]) || !Number.isFinite(high[c]) || Number.isNaN(sum[c])) {
        throw new InputError(
          'the float model produced a value that is not finite; check the model and its pre-processing',
        );
      }
      nextMin[c] = secondLeastWith(low[c], images, min[c], nextMin[c]);
      nextMax[c] = -secondLeastWith(-high[c], images, -max[c], -nextMax[c]);
      min[c] = Math.min(min[c], low[c]);
      max[c] = Math.max(max[c], high[c]);
      this.sum[c] += sum[c];
      this.sumOfSquares[c] += squares[c];
      this.momentumMin[c] = this.images === 0 ? low[c] : MOMENTUM * this.momentumMin[c] + (1 - MOMENTUM) * low[c];
      this.momentumMax[c] = this.images === 0 ? high[c] : MOMENTUM * this.momentumMax[c] + (1 - MOMENTUM) * high[c];
      if (this.withHistogram) this.cover(c, Math.max(-low[c], high[c]));
    }
    if (this.withHistogram) this.fill(data!);
    this.images++;
    this.count += rows;
  }

  /**
   * Adds what another instance saw of the same tensor. Momentum ranges depend on the order of the images: they become
   * their mean, weighed by the numbers of images. Everything else is as if one instance had seen all.
   */
  merge(other: ChannelStatistics): void {
    if (other.channels !== this.channels) throw new InputError('statistics of another model: channel counts differ');
    if (other.withHistogram !== this.withHistogram) throw new RangeError('one of the statistics has no histograms');
    if (other.images === 0) return;
    const weight = other.images / (this.images + other.images);
    for (let c = 0; c < this.channels; c++) {
      this.nextMin[c] = secondLeast(this.leastOf(c), other.leastOf(c));
      this.nextMax[c] = -secondLeast(this.leastNegativeOf(c), other.leastNegativeOf(c));
      this.min[c] = Math.min(this.min[c], other.min[c]);
      this.max[c] = Math.max(this.max[c], other.max[c]);
      this.momentumMin[c] += weight * (other.momentumMin[c] - this.momentumMin[c]);
      this.momentumMax[c] += weight * (other.momentumMax[c] - this.momentumMax[c]);
      this.sum[c] += other.sum[c];
      this.sumOfSquares[c] += other.sumOfSquares[c];
      if (!this.withHistogram) continue;
      const from = new ChannelStatistics(1);
      from.reach[0] = other.reach[c];
      from.histogram.set(other.histogram.subarray(c * BINS, (c + 1) * BINS));
      // A channel of zeros keeps its counts in the middle bin, where zeros are whatever the reach.
      if (this.reach[c] === 0) this.reach[c] = from.reach[0];
      const reach = Math.max(this.reach[c], from.reach[0]);
      this.widen(c, reach);
      from.widen(0, reach);
      for (let b = 0; b < BINS; b++) this.histogram[c * BINS + b] += from.histogram[b];
    }
    this.images += other.images;
    this.count += other.count;
  }

  private fill(data: Float32Array): void {
    const { histogram, reach } = this;
    const toBin = reach.map((r) => (r > 0 ? BINS / (2 * r) : 0));
    const counts = countInBins(data, toBin, BINS);
    for (let i = 0; i < counts.length; i++) histogram[i] += counts[i];
  }

  /** Widens channel c's histogram until it covers ±magnitude. */
  private cover(c: number, magnitude: number): void {
    if (magnitude === 0) return;
    let reach = this.reach[c];
    if (reach === 0) {
      // A zero lies in bin BINS/2 whatever the reach, so earlier zeros need no move.
      this.reach[c] = 2 ** (Math.floor(Math.log2(magnitude)) + 1);
      return;
    }
    while (reach <= magnitude) reach *= 2;
    this.widen(c, reach);
  }

  /** What is known of the images' least values of channel c. */
  private leastOf(c: number): Least {
    return { size: this.images, least: this.min[c], second: this.nextMin[c] };
  }

  /** The same of the largest values, negated. */
  private leastNegativeOf(c: number): Least {
    return { size: this.images, least: -this.max[c], second: -this.nextMax[c] };
  }

  private widen(c: number, reach: number): void {
    if (reach === 0 || this.reach[c] === 0) return;
    const h = this.histogram.subarray(c * BINS, (c + 1) * BINS);
    while (this.reach[c] < reach) {
      const merged = new Float64Array(BINS);
      for (let b = 0; b < BINS; b++) merged[(b + BINS / 2) >> 1] += h[b];
      h.set(merged);
      this.reach[c] *= 2;
    }
  }
}

/** What is known of a set of numbers: of one number, the second least is that number itself. */
interface Least {
  readonly size: number;
  readonly least: number;
  readonly second: number;
}

/** The second least of two sets of numbers together. */
function secondLeast(a: Least, b: Least): number {
  if (a.size === 0) return b.second;
  const second = Math.max(a.least, b.least);
  return Math.min(second, a.size > 1 ? a.second : second, b.size > 1 ? b.second : second);
}

/** The same of a set of `size` numbers and one number more. */
function secondLeastWith(value: number, size: number, least: number, second: number): number {
  if (size === 0) return value;
  const larger = Math.max(least, value);
  return size > 1 ? Math.min(larger, second) : larger;
}
