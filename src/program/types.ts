/**
 * The integer program: everything inference needs, as plain typed data. Op i writes value i + 1; value 0 is the image,
 * `u8` pixels, [height·width, channels].
 *
 * Notation used throughout: requantization of v in channel n is
 *
 *     requantize(v, n) = (v·multiplier[n] + 2^(shift−1) + offset[n]) >> shift        (offset: where the op has one)
 *
 * with a 64-bit product and an arithmetic shift (floor). `multiplier/2^shift` is the dyadic number b/2^c of I-ViT;
 * the channels of one op share c, so that a SIMD unit without per-lane shifts can run it.
 */
import type { Op } from './ops/index.js';
import type { ValueId } from './value.js';

export interface Program {
  readonly input: { readonly height: number; readonly width: number; readonly channels: number };
  readonly ops: readonly Op[];
  /** The value that holds the logits (or features): type i32, one common scale. */
  readonly output: ValueId;
}

export type { IntegerOpKind, Op, OpKind, OpOf } from './ops/index.js';
export type { ActivationOp } from './ops/activation.js';
export type { AddOp } from './ops/add.js';
export type {
  AttentionOp,
  IbertSoftmax,
  PaperSoftmax,
  PublishedSoftmax,
  SoftmaxBits,
  SoftmaxKind,
} from './ops/attention.js';
export type { ConstantOp } from './ops/constant.js';
export type { DepthwiseOp } from './ops/depthwise.js';
export type { DivideOp } from './ops/divide.js';
export type { FloatGeluOp } from './ops/float-gelu.js';
export type { FloatNormOp } from './ops/float-norm.js';
export type { GatherOp } from './ops/gather.js';
export type { Geometry } from './ops/geometry.js';
export type { GroupNormOp } from './ops/group-norm.js';
export type { IbertGeluOp } from './ops/ibert-gelu.js';
export type { LayerNormOp } from './ops/layer-norm.js';
export type { LinearOp } from './ops/linear.js';
export type { LookupOp } from './ops/lookup.js';
export type { MatmulOp, MatrixView } from './ops/matmul.js';
export type { MaxPoolOp } from './ops/max-pool.js';
export type { MeanRowsOp } from './ops/mean-rows.js';
export type { MixRowsOp } from './ops/mix-rows.js';
export type { MultiplyOp } from './ops/multiply.js';
export type { PaperGeluOp } from './ops/paper-gelu.js';
export type { PaperNormOp } from './ops/paper-norm.js';
export type { PatchesOp } from './ops/patches.js';
export type { RescaleOp } from './ops/rescale.js';
export type { RotateOp } from './ops/rotate.js';
export type { SoftmaxOp } from './ops/softmax.js';
export type { OperandView } from './ops/view.js';
export type { WindowsOp } from './ops/windows.js';
export type { Output, ValueId, ValueType } from './value.js';
