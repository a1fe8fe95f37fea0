/** What too few bits add to the values of the float model. */
import { attend } from '../../graph/nodes/attention.js';
import type { AttentionNode, LinearNode } from '../../graph/types.js';
import type { Products } from '../../calibrate/products.js';
import type { ChannelStatistics } from '../../calibrate/statistics.js';
import { softmaxDither, softmaxWeight } from '../../kernels/attention.js';
import type { SoftmaxBits, SoftmaxKind } from '../../program/types.js';
import { transposed } from '../fit/linalg.js';
import { roundCoded, roundToNearest } from '../fit/weight-rounding.js';
import { SCORE_BITS, SCORE_UNIT } from '../build/scores.js';
import { QUANTIZED_LIMIT, type Encoding } from './encoding.js';

/** Quantized values of 8 bits. */
const LARGEST = 255;

/** Float values of an image, by node: a copy, which may be changed. */
export type ValueOf = (id: string) => Float32Array;

/** What 8 bits add to a value, element by element. */
export function quantizationError(value: Float32Array, { out, scale, center }: Encoding): Float32Array {
  const cols = scale.length;
  const zero = out.type === 'u8' ? out.zero : QUANTIZED_LIMIT + 1;
  const error = new Float32Array(value.length);
  for (let row = 0; row < value.length; row += cols) {
    let step = 1;
    if (out.type === 'rows') {
      let most = 0;
      for (let c = 0; c < cols; c++) most = Math.max(most, Math.abs((value[row + c] - center[c]) / scale[c]));
      step = most / QUANTIZED_LIMIT || 1;
    }
    for (let c = 0; c < cols; c++) {
      const exact = (value[row + c] - center[c]) / (scale[c] * step);
      const quantized = Math.max(-zero, Math.min(LARGEST - zero, Math.round(exact)));
      error[row + c] = (quantized - exact) * scale[c] * step;
    }
  }
  return error;
}

/** How a layer's weights are rounded. */
export interface WeightRounding {
  readonly weightBits: number;
  /** [K]: real value of one step of the input, in units of which weights are rounded. */
  readonly inputScale: Float64Array;
}

/** Weights [N, K] rounded to the nearest of so many bits; fewer than 8 are coded, as they will be. */
export function roundedWeights(
  { weight, cols: N }: Pick<LinearNode, 'weight' | 'cols'>,
  { weightBits, inputScale }: WeightRounding,
): Float32Array {
  const K = inputScale.length;
  const scaled = new Float64Array(weight.length);
  for (let n = 0; n < N; n++) for (let k = 0; k < K; k++) scaled[n * K + k] = weight[n * K + k] * inputScale[k];
  const { quantized, scale } =
    weightBits < 8 ? roundCoded(scaled, null, K, weightBits) : roundToNearest(scaled, N, K, weightBits);
  const rounded = new Float32Array(weight.length);
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) rounded[n * K + k] = (quantized[n * K + k] * scale[n]) / inputScale[k];
  }
  return rounded;
}

/** What rounding to the nearest adds to the weights, transposed: [K, N]. */
export function weightChange(node: LinearNode, rounding: WeightRounding): Float32Array {
  const { cols: N, inFeatures: K, weight } = node;
  const change = roundedWeights(node, rounding);
  for (let i = 0; i < change.length; i++) change[i] -= weight[i];
  return transposed(change, N, K);
}

/**
 * What a change of weights adds to a linear layer's output, element by element, once the bias has taken back the mean.
 *
 * @param change [K, N]
 * @param statistics of the layer's input
 */
export async function weightsError(
  node: LinearNode,
  change: Float32Array,
  statistics: ChannelStatistics,
  valueOf: ValueOf,
  products: Products,
): Promise<Float32Array> {
  const { cols: N, inFeatures: K } = node;
  const { channels, sum, count } = statistics;
  const mean = sum.map((total) => total / count);
  const centred = valueOf(node.x);
  for (let i = 0; i < centred.length; i++) centred[i] -= mean[i % channels];
  return products.plain(centred, K, change, N);
}

/**
 * What softmax weights of 8 bits instead of 12 add to an attention's output, element by element: see `attendRow`.
 * Queries, keys and values are those of the float model.
 */
export function softmaxError(node: AttentionNode, kind: SoftmaxKind, valueOf: ValueOf): Float32Array {
  const [rounded, exact] = [new Float64Array(node.keys), new Float64Array(node.keys)];
  return attend(node, valueOf, (scores, query) => {
    weigh(scores, query, kind, 8, rounded);
    weigh(scores, query, kind, 12, exact);
    for (let j = 0; j < rounded.length; j++) rounded[j] -= exact[j];
    return rounded;
  });
}

/** Softmax weights of one query's scores, their sum 1, as the integer kernels make them, into `weights`. */
function weigh(scores: Float64Array, query: number, kind: SoftmaxKind, bits: SoftmaxBits, weights: Float64Array): void {
  let most = -Infinity;
  for (const x of scores) most = Math.max(most, x);
  let sum = 0;
  for (let j = 0; j < scores.length; j++) {
    const distance = Math.round((most - scores[j]) / SCORE_UNIT);
    sum += weights[j] = softmaxWeight(distance, SCORE_BITS, kind, bits, softmaxDither(query, j, bits));
  }
  for (let j = 0; j < weights.length; j++) weights[j] /= sum;
}
