import { MOST_GELU_BITS, LEAST_GELU_BITS, IBERT_GELU_LIMIT } from '../limits.js';
import { requantized } from '../proof.js';
import { elements, type OpBase, type ValueId } from '../value.js';
import { integer, multiplierOf, offsetOf, type OpDefinition } from './definition.js';

/** I-BERT's i-GELU of an i16 value of scale 2^−fractionBits (see `geluInteger`), in units of 0.2888·2^−14 of that. */
export interface IbertGeluOp extends OpBase {
  readonly op: 'ibertGelu';
  readonly x: ValueId;
  /** 6 to 12. */
  readonly fractionBits: number;
  /** [cols]. */
  readonly multiplier: Int32Array;
  /** [cols]. */
  readonly offset: BigInt64Array;
  readonly shift: number;
}

export const ibertGelu: OpDefinition<IbertGeluOp> = {
  fields: { x: integer, fractionBits: integer, shift: integer },
  tensors: (op) => [multiplierOf(op), offsetOf(op)],
  operands: (op) => [op.x],
  validate(op, check, { values }) {
    check.type('x', values[op.x], 'i16');
    check.sameElements('x', values[op.x], elements(op));
    check.count('fractionBits', op.fractionBits, LEAST_GELU_BITS, MOST_GELU_BITS);
    check.multipliers(op);
  },
  bound: (op) => requantized(op, BigInt(IBERT_GELU_LIMIT)),
};
