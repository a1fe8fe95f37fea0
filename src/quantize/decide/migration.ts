/**
 * Per-channel input scales of linear layers, folded into the weights (SmoothQuant, arXiv 2211.10438): the migration
 * strength α between one scale a tensor (0) and one a channel (1), and the range margin.
 */
import type { ChannelStatistics } from '../../calibrate/statistics.js';
import { QUANTIZED_LIMIT } from './encoding.js';
import { leastBy, raiseDead, variances, type RangeOptions, type Reach } from './reach.js';

/** Values of α to choose among. */
const ALPHAS = [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1];
/** The weights of a layer that reads a value, or windows of it. */
export interface ReaderWeights {
  /** [N, taps·K]. */
  readonly weight: Float32Array;
  readonly taps: number;
}

/** The layers that read a value. */
export interface Readers {
  readonly layers: readonly ReaderWeights[];
  /** The greatest quantized weight. */
  readonly limit: number;
}

/** Squared norms of the weights of each of K channels: what an error of it adds to the outputs'. */
function columnEnergies(layers: readonly ReaderWeights[], K: number): Float64Array {
  const energy = new Float64Array(K);
  for (const { weight } of layers)
    for (let i = 0, k = 0; i < weight.length; i++, k = k + 1 < K ? k + 1 : 0) energy[k] += weight[i] ** 2;
  return energy;
}

/** Of half-widths: Σ_k s_k²/12·Σ_n W[n,k]². */
function activationError(half: Float64Array, energy: Float64Array): number {
  return half.reduce((sum, h, k) => sum + ((h / QUANTIZED_LIMIT) ** 2 / 12) * energy[k], 0);
}

/** Of half-widths: Σ_n (max_k |W[n,k]·s_k|/limit)²/12·Σ_k Var[x_k/s_k]; of what the mean adds, the bias makes up. */
function weightError(half: Float64Array, variance: Float64Array, { layers, limit }: Readers): number {
  const K = half.length;
  let steps = 0;
  for (const { weight, taps } of layers)
    for (let i = 0; i < weight.length; i += taps * K) {
      let max = 0;
      for (let k = 0; k < taps * K; k++) max = Math.max(max, Math.abs(weight[i + k]) * half[k % K]);
      steps += (taps * (max / QUANTIZED_LIMIT / limit) ** 2) / 12;
    }
  return steps * half.reduce((sum, h, k) => sum + variance[k] / (h / QUANTIZED_LIMIT) ** 2, 0);
}

export interface ChosenRanges {
  readonly half: Float64Array;
  readonly middle: Float64Array;
  readonly alpha: number;
  readonly margin: number;
}

/**
 * The codes' range of every channel, for layers that read them with `weight`: h·reach^α·largest^(1−α) above and below
 * its centre. The range margin h and the alpha α between per tensor (0) and per channel (1) are those that make the
 * least error at the layers' output, by rounding activations, by rounding weights, and by clipping on unseen images. Of
 * these, each calibration image is one in turn: a range chosen without it clips what it reaches beyond, and only the
 * image that reaches farthest does.
 *
 * @param alphas to choose among
 */
export function chooseRanges(
  statistics: ChannelStatistics,
  reach: Reach,
  readers: Readers,
  { rangeMargins, clipWeight }: RangeOptions,
  alphas: readonly number[] = ALPHAS,
): ChosenRanges {
  const energy = columnEnergies(readers.layers, statistics.channels);
  const variance = variances(statistics);
  const [mostAbove, mostBelow] = [reach.above, reach.below].map((r) => r.reduce((a, b) => Math.max(a, b), 0));
  let best: ChosenRanges | undefined;
  let least = Infinity;
  for (const alpha of alphas) {
    const limitOf = (v: number, most: number) => v ** alpha * most ** (1 - alpha);
    const above = reach.above.map((v) => limitOf(v, mostAbove));
    const below = reach.below.map((v) => limitOf(v, mostBelow));
    const half = above.map((a, k) => (a + below[k]) / 2);
    raiseDead(half);
    const [activations, weights] = [activationError(half, energy), weightError(half, variance, readers)];
    for (const margin of rangeMargins) {
      const clipping = energy.reduce((sum, e, k) => {
        const over = Math.max(0, reach.above[k] - margin * limitOf(reach.aboveNext[k], mostAbove));
        const under = Math.max(0, reach.below[k] - margin * limitOf(reach.belowNext[k], mostBelow));
        return sum + e * (over * over + under * under);
      }, 0);
      const error = margin ** 2 * activations + weights + (clipWeight * clipping) / statistics.count;
      if (error >= least) continue;
      least = error;
      const middle = reach.center.map((t, k) => t + (margin * (above[k] - below[k])) / 2);
      best = { half: half.map((h) => margin * h), middle, alpha, margin };
    }
  }
  return best!;
}

/**
 * The migration strength α, as `chooseRanges` chooses it, for codes that do not clip.
 *
 * @param finer how many times finer the codes' steps are than those of 8 bits
 * @param most the greatest alpha to choose
 */
export function chooseAlpha(
  half: Float64Array,
  variance: Float64Array,
  readers: Readers,
  finer: number,
  most: number,
): number {
  const energy = columnEnergies(readers.layers, half.length);
  return leastBy(
    ALPHAS.filter((alpha) => alpha <= most),
    (alpha) => {
      const widths = withAlpha(half, alpha);
      return activationError(widths, energy) / finer ** 2 + weightError(widths, variance, readers);
    },
  );
}

/** Half-widths at a alpha: half[c]^α·max^(1−α), never below half[c]. */
export function withAlpha(half: Float64Array, alpha: number): Float64Array {
  const largest = half.reduce((a, b) => Math.max(a, b), 0);
  return half.map((h) => h ** alpha * largest ** (1 - alpha));
}
