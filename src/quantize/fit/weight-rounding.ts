/**
 * Rounding of weights: to the nearest, or GPTQ / LDLQ (Chee et al., arXiv 2307.13304; Frantar et al., arXiv
 * 2210.17323).
 */
import { cholesky, roundInSteps, type WeightLevels } from '../../calibrate/numerics.js';
import { forEachGroup, type Coding } from '../../program/codebook.js';
import { binOf, fitCodebook, nearestLevels, tablesOf } from './codebook-fit.js';
import { meanDiagonal, timesVector } from './linalg.js';

/** Quantized weights of one layer, or the residual weight plane of one. */
export interface WeightPlane {
  readonly bits: number;
  /** [N, K] in ±limit. */
  readonly quantized: Int8Array;
  /** How they are coded; null: they are stored as they are. */
  readonly coding: Coding | null;
  /** [N]: real value of one step. */
  readonly scale: Float64Array;
}

/** Share of the diagonal added before factoring, so that dead channels and rounding don't break it. */
const DAMPING = 1e-3;
/** Rounds weights without calibration data: nearest, one scale a row. */
export function roundToNearest(weight: Float64Array, N: number, K: number, weightBits: number): WeightPlane {
  const scale = rowScales(weight, N, K, weightBits);
  const quantized = new Int8Array(N * K);
  for (let n = 0, i = 0; n < N; n++) for (let k = 0; k < K; k++, i++) quantized[i] = Math.round(weight[i] / scale[n]);
  return { bits: weightBits, quantized, coding: null, scale };
}

function rowScales(weight: Float64Array, N: number, K: number, weightBits: number): Float64Array {
  const limit = 2 ** (weightBits - 1) - 1;
  const scale = new Float64Array(N);
  for (let n = 0; n < N; n++) {
    let max = 0;
    for (let k = 0; k < K; k++) max = Math.max(max, Math.abs(weight[n * K + k]));
    // An all-zero row takes scale 1.
    scale[n] = max > 0 ? max / limit : 1;
  }
  return scale;
}

/** How input channels depend on each other. */
export interface RoundingOrder {
  /** Channels by their energy, the largest last. */
  readonly channels: readonly number[];
  /** [K, K]: Cholesky factor of the Gram matrix in this order. */
  readonly factor: Float64Array;
}

/** @param gram [K, K] @returns null where it cannot be factored */
export function roundingOrder(gram: Float64Array, K: number): RoundingOrder | null {
  const channels = Array.from({ length: K }, (_, k) => k).sort((a, b) => gram[a * K + a] - gram[b * K + b]);
  const damping = DAMPING * meanDiagonal(gram, K) || 1;
  const factor = new Float64Array(K * K);
  for (let i = 0; i < K; i++) {
    for (let j = 0; j <= i; j++) factor[i * K + j] = gram[channels[i] * K + channels[j]] + (i === j ? damping : 0);
  }
  return cholesky(factor, K) ? { channels, factor } : null;
}

export function roundInOrder(
  weight: Float64Array,
  order: RoundingOrder,
  N: number,
  K: number,
  weightBits: number,
): WeightPlane {
  const scale = rowScales(weight, N, K, weightBits);
  const limit = 2 ** (weightBits - 1) - 1;
  const all = Array.from({ length: 2 * limit + 1 }, (_, i) => i - limit);
  const quantized = roundToLevels({ weight, scale }, order, {
    levels: nearestLevels(all),
    table: new Uint8Array(N * K),
  });
  return { bits: weightBits, quantized, coding: null, scale };
}

/**
 * Weights of few bits, coded: in order where the dependence of channels is known, else to the nearest level.
 *
 * @param bits 2 to 7
 */
export function roundCoded(weight: Float64Array, order: RoundingOrder | null, K: number, bits: number): WeightPlane {
  const importance = new Float64Array(K).fill(1);
  // What is left of a channel's error when those rounded after it have made up for it as well as they can.
  order?.channels.forEach((channel, k) => (importance[channel] = order.factor[k * K + k] ** 2));
  const { coding, scale } = fitCodebook({ weight, importance }, bits);
  const quantized =
    order === null
      ? roundToNearestLevel({ weight, scale }, coding, K)
      : roundToLevels({ weight, scale }, order, codedLevels(coding, weight.length, K));
  return { bits, quantized, coding, scale };
}

/** The levels of each weight: a table for each factor. */
function codedLevels({ codebook, factor, groupSize }: Coding, count: number, K: number): WeightLevels {
  const tables = tablesOf(codebook);
  const places = new Map([...tables.keys()].map((of, place) => [of, place]));
  const levels = new Int8Array([...tables.values()].flatMap((table) => [...table]));
  const table = new Uint8Array(count);
  forEachGroup(count, K, groupSize, (from, to, group) => table.fill(places.get(factor[group])!, from, to));
  return { levels, table };
}

/** Weights [N, K], and the real value of one step of each row [N]. */
interface RowScaled {
  readonly weight: Float64Array;
  readonly scale: Float64Array;
}

/** Weights rounded to levels of their own in steps of their rows. */
function roundToLevels(
  { weight, scale }: RowScaled,
  { channels, factor }: RoundingOrder,
  { levels, table }: WeightLevels,
): Int8Array {
  const K = channels.length;
  const inSteps = new Float64Array(weight.length);
  const tables = new Uint8Array(weight.length);
  for (let n = 0, row = 0; n < scale.length; n++, row += K) {
    for (let k = 0; k < K; k++) {
      inSteps[row + k] = weight[row + channels[k]] / scale[n];
      tables[row + k] = table[row + channels[k]];
    }
  }
  // Channels of the largest energy are rounded first, while most others can still make up for them.
  const ordered = roundInSteps(inSteps, factor, K, { levels, table: tables });
  const quantized = new Int8Array(weight.length);
  for (let row = 0; row < weight.length; row += K)
    for (let k = 0; k < K; k++) quantized[row + channels[k]] = ordered[row + k];
  return quantized;
}

/** Weights rounded each to the nearest level of its group. */
function roundToNearestLevel(
  { weight, scale }: RowScaled,
  { codebook, factor, groupSize }: Coding,
  K: number,
): Int8Array {
  const tables = tablesOf(codebook);
  const quantized = new Int8Array(weight.length);
  forEachGroup(weight.length, K, groupSize, (from, to, group) => {
    const table = tables.get(factor[group])!;
    const step = scale[Math.floor(from / K)];
    for (let i = from; i < to; i++) quantized[i] = table[binOf(weight[i] / step)];
  });
  return quantized;
}

/** What planes of weights give for the mean input. */
export function productWithMean(planes: readonly WeightPlane[], mean: Float64Array): Float64Array {
  const output = new Float64Array(planes[0].scale.length);
  for (const { quantized, scale } of planes)
    timesVector(quantized, mean).forEach((steps, n) => (output[n] += steps * scale[n]));
  return output;
}
