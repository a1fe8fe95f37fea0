import { requantized } from '../proof.js';
import type { OpDefinition } from './definition.js';
import { ibertGelu, type IbertGeluOp } from './ibert-gelu.js';
import { NORMALIZED } from './layer-norm.js';

/** GELU in float32 (see `geluFloat`), in units of 2^−(fractionBits + 15): a model that has it is not integer-only. */
export interface FloatGeluOp extends Omit<IbertGeluOp, 'op'> {
  readonly op: 'floatGelu';
}

/** Fields and rules are those of `ibertGelu`; its results are within the limit of a norm's. */
export const floatGelu: OpDefinition<FloatGeluOp> = {
  ...(ibertGelu as unknown as OpDefinition<FloatGeluOp>),
  bound: (op) => requantized(op, NORMALIZED),
  isFloat: () => true,
};
