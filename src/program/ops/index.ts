/** Every kind of op that a program may hold. A new one is a file beside this one, and a line in each list here. */
import { activation, type ActivationOp } from './activation.js';
import { add, type AddOp } from './add.js';
import { attention, type AttentionOp } from './attention.js';
import { constant, type ConstantOp } from './constant.js';
import type { OpDefinition } from './definition.js';
import { depthwise, type DepthwiseOp } from './depthwise.js';
import { divide, type DivideOp } from './divide.js';
import { floatGelu, type FloatGeluOp } from './float-gelu.js';
import { floatNorm, type FloatNormOp } from './float-norm.js';
import { gather, type GatherOp } from './gather.js';
import { groupNorm, type GroupNormOp } from './group-norm.js';
import { ibertGelu, type IbertGeluOp } from './ibert-gelu.js';
import { layerNorm, type LayerNormOp } from './layer-norm.js';
import { linear, type LinearOp } from './linear.js';
import { lookup, type LookupOp } from './lookup.js';
import { matmul, type MatmulOp } from './matmul.js';
import { maxPool, type MaxPoolOp } from './max-pool.js';
import { meanRows, type MeanRowsOp } from './mean-rows.js';
import { mixRows, type MixRowsOp } from './mix-rows.js';
import { multiply, type MultiplyOp } from './multiply.js';
import { paperGelu, type PaperGeluOp } from './paper-gelu.js';
import { paperNorm, type PaperNormOp } from './paper-norm.js';
import { patches, type PatchesOp } from './patches.js';
import { rescale, type RescaleOp } from './rescale.js';
import { rotate, type RotateOp } from './rotate.js';
import { softmax, type SoftmaxOp } from './softmax.js';
import { windows, type WindowsOp } from './windows.js';

export type Op =
  | PatchesOp
  | ConstantOp
  | LinearOp
  | LayerNormOp
  | ActivationOp
  | AttentionOp
  | AddOp
  | RescaleOp
  | MeanRowsOp
  | GatherOp
  | PaperNormOp
  | PaperGeluOp
  | MultiplyOp
  | DivideOp
  | LookupOp
  | SoftmaxOp
  | MatmulOp
  | WindowsOp
  | DepthwiseOp
  | MaxPoolOp
  | MixRowsOp
  | GroupNormOp
  | RotateOp
  | IbertGeluOp
  | FloatNormOp
  | FloatGeluOp;

export type OpKind = Op['op'];

/** Those that no model has that is integer-only left out. */
export type IntegerOpKind = Exclude<OpKind, 'floatNorm' | 'floatGelu'>;

export type OpOf<K extends OpKind> = Extract<Op, { op: K }>;

/** In the order of native/generated.h. */
const definitions = {
  patches,
  constant,
  linear,
  layerNorm,
  activation,
  attention,
  add,
  rescale,
  meanRows,
  gather,
  paperNorm,
  paperGelu,
  multiply,
  divide,
  lookup,
  softmax,
  matmul,
  windows,
  depthwise,
  maxPool,
  mixRows,
  groupNorm,
  rotate,
  ibertGelu,
  floatNorm,
  floatGelu,
} satisfies { [K in OpKind]: OpDefinition<OpOf<K>> };

export const OP_KINDS = Object.keys(definitions) as readonly OpKind[];

/** The definition of an op's kind. */
export function definitionOf<K extends OpKind>({ op }: { readonly op: K }): OpDefinition<OpOf<K>> {
  return definitions[op] as unknown as OpDefinition<OpOf<K>>;
}
