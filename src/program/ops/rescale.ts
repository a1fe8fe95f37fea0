import { WIDE_LIMIT } from '../limits.js';
import { requantized } from '../proof.js';
import { elements, type OpBase, type ValueId } from '../value.js';
import { integer, multiplierOf, offsetOf, type OpDefinition } from './definition.js';

/** Requantizes an i32 value per channel, with `offset`: quantization without a norm before it, and affine maps. */
export interface RescaleOp extends OpBase {
  readonly op: 'rescale';
  readonly x: ValueId;
  /** [cols]. */
  readonly multiplier: Int32Array;
  /** [cols]. */
  readonly offset: BigInt64Array;
  readonly shift: number;
}

export const rescale: OpDefinition<RescaleOp> = {
  fields: { x: integer, shift: integer },
  tensors: (op) => [multiplierOf(op), offsetOf(op)],
  operands: (op) => [op.x],
  validate(op, check, { values }) {
    check.type('x', values[op.x], 'i32');
    check.sameElements('x', values[op.x], elements(op));
    check.multipliers(op);
  },
  bound: (op) => requantized(op, BigInt(WIDE_LIMIT)),
};
