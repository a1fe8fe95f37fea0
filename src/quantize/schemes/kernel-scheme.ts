import type { ChannelStatistics } from '../../calibrate/statistics.js';
import type { ActivationNode, AttentionNode } from '../../graph/types.js';
import type { PublishedSoftmax, SoftmaxKind } from '../../program/types.js';
import type { IntegerArray } from '../../program/value.js';
import type { Encoding } from '../decide/encoding.js';
import type { RangeOptions } from '../decide/reach.js';
import type { QuantizeOptions } from '../options.js';
import type { Techniques } from '../techniques.js';

/** The op that stands for an activation, beside what all requantizing ops have. */
export type ActivationKernel =
  | { readonly op: 'activation'; readonly knots: Int16Array; readonly spacing: number }
  | { readonly op: 'paperGelu'; readonly x0: number }
  | { readonly op: 'ibertGelu' | 'floatGelu'; readonly fractionBits: number };

/** The softmax of one attention. */
export interface SoftmaxKernel {
  readonly softmax: SoftmaxKind | PublishedSoftmax;
  readonly fractionBits: number;
  /** Real value of one step of its scores. */
  readonly scoreUnit: number;
  /** Real value of one step of the weighted sums that it makes, over the values' own. */
  readonly weightUnit: number;
}

/** The integer operands of an attention on one image. */
export interface AttentionOperands {
  readonly q: IntegerArray;
  readonly k: IntegerArray;
}

/** A kernel set: which integer kernels stand for softmax, GELU and LayerNorm, and how the quantizer works with them. */
export interface KernelScheme {
  /** @throws UsageError for options that do not go with these kernels */
  techniques(options: QuantizeOptions, synthetic: boolean): Techniques;
  readonly normOp: 'layerNorm' | 'paperNorm' | 'floatNorm';
  /** How the input of these activations is written, of `cols` columns; null: as 16-bit fixed point. */
  activationInput(
    readers: readonly ActivationNode[],
    statistics: ChannelStatistics,
    range: RangeOptions,
    cols: number,
  ): Encoding | null;
  /** @param input how its input is written @returns its kernel, and the real value of one step of the result */
  activation(node: ActivationNode, input: Encoding): { readonly kernel: ActivationKernel; readonly unit: number };
  /** The softmax's exponential, where its weights have a number of bits to choose; null: they have not. */
  readonly softmaxKind: SoftmaxKind | null;
  /** The exponential of a softmax by itself. */
  readonly rowSoftmaxKind: SoftmaxKind;
  /** @param images the operands on every image that is fitted to */
  softmax(node: AttentionNode, product: Float64Array, images: () => Iterable<AttentionOperands>): SoftmaxKernel;
}
