/**
 * What `--kernels paper` does differently: symmetric 8-bit scales, one a tensor, straight from the observed ranges,
 * weights rounded to nearest, and the integer constants of the published kernels.
 */
import { UsageError } from '../../errors.js';
import type { ChannelStatistics } from '../../calibrate/statistics.js';
import { viewStart } from '../../graph/nodes.js';
import type { ActivationNode, AttentionNode, AttentionView } from '../../graph/types.js';
import type { IntegerArray } from '../../program/value.js';
import { shiftExponentialUnit, sigmoidScale } from '../../kernels/prepare.js';
import { MAX_X0 } from '../../program/limits.js';
import type { PaperSoftmax } from '../../program/types.js';
import { roundToNearest, type Fit } from '../fit/weight-correction.js';
import type { QuantizeOptions } from '../options.js';
import { CODE_LIMIT, channelExtents, type OperandScales, type RangeOptions } from '../decide/scales.js';
import type { SequenceSettings } from '../settings.js';

/** The paper's softmax output: with 8 bits a weight of 1/197 is less than one step, and accuracy falls by 15 points more. */
const SOFTMAX_BITS = 16;
/** Below this a bias of scores is a mask, which must not widen the scores' scale. */
const MASK = -50;

/** @throws UsageError for scales other than the published ones */
export function publishedSettings(options: QuantizeOptions): SequenceSettings {
  if (options.scales !== 'static') throw new UsageError('--kernels paper has static scales; leave --scales out');
  return {
    options,
    range: { method: options.method, headRooms: [1], clipWeight: 0, centred: false },
    fit: { weightBits: options.weightBits, ridges: [], secondOrder: false },
    perChannelInputs: false,
    fewRows: 0,
    secondWeightPlanes: false,
    sensitiveWork: 0,
  };
}

/** A layer as it is: weights rounded to nearest, the bias kept. */
export function publishedFit(weight: Float64Array, bias: Float64Array, inFeatures: number, weightBits: number): Fit {
  return {
    ...roundToNearest(weight, bias.length, inFeatures, weightBits),
    second: null,
    bias,
    ridge: null,
    heldOutError: null,
  };
}

/** S of an 8-bit tensor, from all its channels. */
export function tensorScale(statistics: ChannelStatistics, range: RangeOptions): number {
  return channelExtents(statistics, range, true).half.reduce((a, b) => Math.max(a, b)) / CODE_LIMIT;
}

/** Whether ShiftGELU stands for an activation: it is x·σ(1.702x). */
export function isPublishedGelu({ kind }: ActivationNode): boolean {
  return kind === 'gelu' || kind === 'geluTanh' || kind === 'quickGelu';
}

/** The input scale of ShiftGELU and its x0; a scale too small for the program's x0 is raised. */
export function publishedGelu(scale: number): { scale: number; x0: number } {
  const raised = Math.max(scale, 1 / MAX_X0);
  return { scale: raised, x0: Number(shiftExponentialUnit(sigmoidScale(raised))) };
}

/** q, k and v with the scale of the tensor that each is read from. */
export function publishedOperandScales(
  node: AttentionNode,
  statistics: ReadonlyMap<string, ChannelStatistics>,
  range: RangeOptions,
): OperandScales {
  const uniform = ({ source }: AttentionView) => {
    const observed = statistics.get(source)!;
    return {
      scale: new Float64Array(observed.channels).fill(tensorScale(observed, range)),
      center: new Float64Array(observed.channels),
    };
  };
  const [q, k, v] = [uniform(node.q), uniform(node.k), uniform(node.v)];
  return { q, k, v, product: new Float64Array(node.heads).fill(q.scale[0] * k.scale[0]) };
}

/** S of a layer's 8-bit scores: the largest that the integer operands of the images make, masks left out. */
export function publishedScoreScale(
  node: AttentionNode,
  product: Float64Array,
  images: readonly { readonly q: IntegerArray; readonly k: IntegerArray }[],
): number {
  let largest = 0;
  for (const { q, k } of images) {
    for (let h = 0; h < node.heads; h++) {
      const most = largestProduct(node, h, q, k);
      largest = Math.max(largest, most * product[h] * node.scale[h]);
    }
  }
  let bias = 0;
  if (node.bias !== null) for (const b of node.bias) if (b > MASK) bias = Math.max(bias, Math.abs(b));
  return Math.max((largest + bias) / CODE_LIMIT, 1 / MAX_X0);
}

/** Most of |Σ q·k| of one head, over all windows. */
function largestProduct(node: AttentionNode, head: number, q: IntegerArray, k: IntegerArray): number {
  const { batch, queries, keys, dim } = node;
  let most = 0;
  for (let w = 0; w < batch; w++) {
    for (let i = 0; i < queries; i++) {
      const qAt = viewStart(node.q, w * queries + i, head);
      for (let j = 0; j < keys; j++) {
        const kAt = viewStart(node.k, w * keys + j, head);
        let s = 0;
        for (let c = 0; c < dim; c++) s += q[qAt + c] * k[kAt + c];
        most = Math.max(most, Math.abs(s));
      }
    }
  }
  return most;
}

/** Shiftmax of scores at a scale. */
export function publishedSoftmax(scoreScale: number): PaperSoftmax {
  return { kind: 'paper', x0: Number(shiftExponentialUnit(scoreScale)), bits: SOFTMAX_BITS };
}
