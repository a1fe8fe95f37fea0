/** How each kind of op is written in ONNX's integer operators. */
import type { IntegerOpKind, Op, OpKind, OpOf } from '../../../program/types.js';
import { activation } from './activation.js';
import { add } from './add.js';
import { attention } from './attention.js';
import { constant } from './constant.js';
import type { WriteOp } from './definition.js';
import { depthwise } from './depthwise.js';
import { divide } from './divide.js';
import { gather } from './gather.js';
import { groupNorm } from './group-norm.js';
import { ibertGelu } from './ibert-gelu.js';
import { layerNorm } from './layer-norm.js';
import { linear } from './linear.js';
import { lookup } from './lookup.js';
import { matmul } from './matmul.js';
import { maxPool } from './max-pool.js';
import { meanRows } from './mean-rows.js';
import { mixRows } from './mix-rows.js';
import { multiply } from './multiply.js';
import { paperGelu } from './paper-gelu.js';
import { paperNorm } from './paper-norm.js';
import { patches } from './patches.js';
import { rescale } from './rescale.js';
import { rotate } from './rotate.js';
import { softmax } from './softmax.js';
import { windows } from './windows.js';

const writers = {
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
} satisfies { [K in IntegerOpKind]: WriteOp<OpOf<K>> };

/** @param op one of integers, as all ops of a model that is integer-only */
export const writeOp: WriteOp<Op> = (g, op, operands, input) =>
  (writers as unknown as Readonly<Record<OpKind, WriteOp<Op>>>)[op.op](g, op, operands, input);
