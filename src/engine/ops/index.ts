/** How the engines handle each kind of op. A new one is a file beside this one, and a line here. */
import type { Op, OpKind, OpOf } from '../../program/types.js';
import { activation } from './activation.js';
import { add } from './add.js';
import { attention } from './attention.js';
import { constant } from './constant.js';
import type { EngineOp } from './definition.js';
import { depthwise } from './depthwise.js';
import { divide } from './divide.js';
import { floatGelu } from './float-gelu.js';
import { floatNorm } from './float-norm.js';
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

const engineOps = {
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
} satisfies { [K in OpKind]: EngineOp<OpOf<K>> };

/** How an op's kind is handled. */
export function engineOpOf({ op }: Op): EngineOp<Op> {
  return engineOps[op] as unknown as EngineOp<Op>;
}

/** What native/generated.h says of each kind of op: its words and constants. */
export const encodings: Readonly<Record<OpKind, Pick<EngineOp<Op>, 'words' | 'constants'>>> = engineOps;
