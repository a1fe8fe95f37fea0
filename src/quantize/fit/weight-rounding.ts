/**
 * Rounding of weights: to the nearest, or GPTQ / LDLQ (Chee et al., arXiv 2307.13304; Frantar et al., arXiv
 * 2210.17323).
 */
import { cholesky, roundInSteps } from '../../calibrate/numerics.js';
import { meanDiagonal } from './linalg.js';

/** Quantized weights of one layer, or the residual weight plane of one. */
export interface WeightPlane {
  readonly bits: number;
  /** [N, K] in ±limit. */
  readonly quantized: Int8Array;
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
  return { bits: weightBits, quantized, scale };
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
  { channels, factor }: RoundingOrder,
  N: number,
  K: number,
  weightBits: number,
): WeightPlane {
  const scale = rowScales(weight, N, K, weightBits);
  const inSteps = new Float64Array(N * K);
  for (let n = 0; n < N; n++) for (let k = 0; k < K; k++) inSteps[n * K + k] = weight[n * K + channels[k]] / scale[n];
  // Channels of the largest energy are rounded first, while most others can still make up for them.
  const ordered = roundInSteps(inSteps, factor, K, 2 ** (weightBits - 1) - 1);
  const quantized = new Int8Array(N * K);
  for (let n = 0; n < N; n++) for (let k = 0; k < K; k++) quantized[n * K + channels[k]] = ordered[n * K + k];
  return { bits: weightBits, quantized, scale };
}

/** What planes of weights give for the mean input. */
export function productWithMean(planes: readonly WeightPlane[], mean: Float64Array): Float64Array {
  const K = mean.length;
  const output = new Float64Array(planes[0].scale.length);
  for (const { quantized, scale } of planes) {
    for (let n = 0; n < output.length; n++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += quantized[n * K + k] * mean[k];
      output[n] += sum * scale[n];
    }
  }
  return output;
}
