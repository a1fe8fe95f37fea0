/** What too few bits add to the values of the float model. */
import { attend } from '../../graph/evaluate.js';
import type { AttentionNode, LinearNode } from '../../graph/types.js';
import type { Products } from '../../calibrate/products.js';
import type { ChannelStatistics } from '../../calibrate/statistics.js';
import { softmaxDither, softmaxWeight } from '../../kernels/attention.js';
import type { SoftmaxBits, SoftmaxKind } from '../../program/types.js';
import { roundToNearest } from '../fit/weight-correction.js';
import { CODE_LIMIT } from './scales.js';
import { SCORE_BITS, SCORE_UNIT } from '../build/scores.js';
import type { Target } from './value-scales.js';

/** Float values of an image, by node. */
export type ValueOf = (id: string) => Float32Array;

/** What codes of 8 bits add to a value, element by element. */
export function codesError(value: Float32Array, { out, scale, center }: Target): Float32Array {
  const cols = scale.length;
  const error = new Float32Array(value.length);
  for (let row = 0; row < value.length; row += cols) {
    let step = 1;
    if (out.type === 'rows') {
      let most = 0;
      for (let c = 0; c < cols; c++) most = Math.max(most, Math.abs((value[row + c] - center[c]) / scale[c]));
      step = most / CODE_LIMIT || 1;
    }
    for (let c = 0; c < cols; c++) {
      const exact = (value[row + c] - center[c]) / (scale[c] * step);
      const code = Math.max(-CODE_LIMIT - 1, Math.min(CODE_LIMIT, Math.round(exact)));
      error[row + c] = (code - exact) * scale[c] * step;
    }
  }
  return error;
}

/**
 * Weights [N, K] rounded to the nearest of so many bits.
 *
 * @param inputScale real value of one step of the input's codes, by channel: weights are rounded in units of it
 */
export function roundedWeights(
  { weight, cols: N, inFeatures: K }: LinearNode,
  weightBits: number,
  inputScale: Float64Array,
): Float32Array {
  const { codes, scale } = roundToNearest(
    Float64Array.from(weight, (w, i) => w * inputScale[i % K]),
    N,
    K,
    weightBits,
  );
  return Float32Array.from(codes, (code, i) => (code * scale[Math.floor(i / K)]) / inputScale[i % K]);
}

/**
 * What weights rounded to the nearest of so many bits add to a linear layer's output, element by element, once the bias has
 * taken back the mean.
 *
 * @param inputScale see `roundedWeights`
 * @param statistics of the layer's input
 */
export async function weightsError(
  node: LinearNode,
  weightBits: number,
  inputScale: Float64Array,
  statistics: ChannelStatistics,
  valueOf: ValueOf,
  products: Products,
): Promise<Float32Array> {
  const { cols: N, inFeatures: K } = node;
  const rounded = roundedWeights(node, weightBits, inputScale);
  const transposed = new Float32Array(K * N);
  for (let n = 0, i = 0; n < N; n++)
    for (let k = 0; k < K; k++, i++) transposed[k * N + n] = rounded[i] - node.weight[i];
  const { channels, sum, count } = statistics;
  const centred = valueOf(node.x).map((v, i) => v - sum[i % channels] / count);
  return products.plain(centred, K, transposed, N);
}

/**
 * What softmax weights of 8 bits instead of 12 add to an attention's output, element by element: see `attendRow`. Queries,
 * keys and values are those of the float model.
 */
export function softmaxError(node: AttentionNode, kind: SoftmaxKind, valueOf: ValueOf): Float32Array {
  return attend(node, valueOf, (scores, query) => {
    const [rounded, exact] = ([8, 12] as const).map((bits) => weigh(scores, query, kind, bits));
    return rounded.map((w, j) => w - exact[j]);
  });
}

/** Softmax weights of one query's scores, their sum 1, as the integer kernels make them. */
function weigh(scores: Float64Array, query: number, kind: SoftmaxKind, bits: SoftmaxBits): Float64Array {
  const most = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = scores.map((x, j) =>
    softmaxWeight(Math.round((most - x) / SCORE_UNIT), SCORE_BITS, kind, bits, softmaxDither(query, j, bits)),
  );
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / sum);
}
