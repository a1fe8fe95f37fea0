/**
 * `--kernels paper`: symmetric 8-bit scales, one a tensor, straight from the observed ranges, weights rounded to
 * nearest, and the integer constants of the published kernels.
 */
import { UsageError } from '../../errors.js';
import { viewStart } from '../../graph/nodes/view.js';
import type { ActivationNode, AttentionNode } from '../../graph/types.js';
import { shiftExponentialUnit, sigmoidScale } from '../../kernels/prepare.js';
import { MAX_X0 } from '../../program/limits.js';
import { QUANTIZED_LIMIT, uniformScales } from '../decide/encoding.js';
import { tensorScale } from '../decide/reach.js';
import type { QuantizeOptions } from '../options.js';
import { plainTechniques, type Techniques } from '../techniques.js';
import type { AttentionOperands, KernelScheme } from './kernel-scheme.js';
import { shiftKernels } from './own-kernels.js';

/**
 * The paper's softmax output: with 8 bits a weight of 1/197 is less than one step, and accuracy falls by 15 points
 * more.
 */
const SOFTMAX_BITS = 16;
/** Below this a bias of scores is a mask, which must not widen the scores' scale. */
const MASK = -50;

export const paperKernels: KernelScheme = {
  techniques,
  normOp: 'paperNorm',
  activationInput(readers, statistics, range, cols) {
    if (!readers.every(isPublishedGelu)) return null;
    return { out: { type: 'i8' }, ...uniformScales(cols, geluScale(tensorScale(statistics, range))) };
  },
  activation(node, input) {
    if (input.out.type !== 'i8') return shiftKernels.activation(node, input);
    const scale = geluScale(input.scale[0]);
    const x0 = Number(shiftExponentialUnit(sigmoidScale(scale)));
    return { kernel: { op: 'paperGelu', x0 }, unit: scale * 2 ** -7 };
  },
  softmaxKind: null,
  rowSoftmaxKind: 'shift',
  softmax(node, product, images) {
    const scoreUnit = scoreScale(node, product, images());
    const softmax = { kind: 'paper', x0: Number(shiftExponentialUnit(scoreUnit)), bits: SOFTMAX_BITS } as const;
    return { softmax, fractionBits: 0, scoreUnit, weightUnit: 2 ** -(SOFTMAX_BITS - 1) };
  },
};

function techniques(options: QuantizeOptions): Techniques {
  if (options.scales !== 'static') throw new UsageError('--kernels paper has static scales; leave --scales out');
  return plainTechniques(options);
}

/** Whether ShiftGELU stands for an activation: it is x·σ(1.702x). */
function isPublishedGelu({ kind }: ActivationNode): boolean {
  return kind === 'gelu' || kind === 'geluTanh' || kind === 'quickGelu';
}

/** The input scale of ShiftGELU: one too small for the program's x0 is raised. */
function geluScale(scale: number): number {
  return Math.max(scale, 1 / MAX_X0);
}

/** S of a layer's 8-bit scores: the largest that the integer operands of the images make, masks left out. */
function scoreScale(node: AttentionNode, product: Float64Array, images: Iterable<AttentionOperands>): number {
  let largest = 0;
  for (const { q, k } of images) {
    for (let h = 0; h < node.heads; h++) {
      const most = largestProduct(node, h, q, k);
      largest = Math.max(largest, most * product[h] * node.scale[h]);
    }
  }
  let bias = 0;
  if (node.bias !== null) for (const b of node.bias) if (b > MASK) bias = Math.max(bias, Math.abs(b));
  return Math.max((largest + bias) / QUANTIZED_LIMIT, 1 / MAX_X0);
}

/** Most of |Σ q·k| of one head, over all windows. */
function largestProduct(
  node: AttentionNode,
  head: number,
  q: AttentionOperands['q'],
  k: AttentionOperands['k'],
): number {
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
