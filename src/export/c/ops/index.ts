/** Every kind of op as C. */
import type { Step } from '../../../engine/plan/types.js';
import type { IntegerOpKind, Op, OpKind, OpOf } from '../../../program/types.js';
import { add, divide, multiply, rotate } from './binary.js';
import type { COp } from './definition.js';
import { constant, gather, patches, windows } from './layout.js';
import { depthwise, groupNorm, maxPool, mixRows } from './maps.js';
import { attention, linear, matmul } from './products.js';
import { activation, ibertGelu, layerNorm, lookup, meanRows, paperGelu, paperNorm, rescale, softmax } from './rows.js';

const cOps = {
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
} satisfies { [K in IntegerOpKind]: COp<OpOf<K>> };

export const C_OP_KINDS = Object.keys(cOps) as OpKind[];

/** The quantization of dynamic rows, a step of its own: û to codes and scales, each row read before it is written. */
export const QUANTIZE = 'ivit_portable_quantize_rows';

/** @param op one of integers, as all ops of a model that is integer-only */
export function cOpOf({ op }: Op): COp<Op> {
  return (cOps as unknown as Readonly<Record<OpKind, COp<Op>>>)[op];
}

export const scratchBytes = ({ op }: Step): number => (op === null ? 0 : (cOpOf(op).scratch?.(op) ?? 0));
export const keptBytes = ({ op }: Step): number => (op === null ? 0 : (cOpOf(op).kept?.(op) ?? 0));

/** Operands whose rows a step's result may replace. */
export const aliasesOf = ({ op }: Step): readonly number[] => (op === null ? [0] : (cOpOf(op).aliases ?? []));
