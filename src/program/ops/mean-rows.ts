import { MAX_ELEMENTS, WIDE_LIMIT } from '../limits.js';
import { requantized } from '../proof.js';
import { elements, type OpBase, type ValueId } from '../value.js';
import { integer, multiplierOf, type OpDefinition } from './definition.js';

/** The sum of every `group` successive rows of an i32 value, requantized by one multiplier (1/group in it). */
export interface MeanRowsOp extends OpBase {
  readonly op: 'meanRows';
  readonly x: ValueId;
  readonly group: number;
  /** [cols]. */
  readonly multiplier: Int32Array;
  readonly shift: number;
}

export const meanRows: OpDefinition<MeanRowsOp> = {
  fields: { x: integer, group: integer, shift: integer },
  tensors: (op) => [multiplierOf(op)],
  operands: (op) => [op.x],
  validate(op, check, { values }) {
    check.type('x', values[op.x], 'i32');
    check.count('group', op.group, 1, MAX_ELEMENTS);
    check.sameElements('x', values[op.x], elements(op) * op.group);
    check.multipliers(op);
  },
  bound: (op) => requantized(op, BigInt(op.group) * BigInt(WIDE_LIMIT)),
  visits: (op) => elements(op) * op.group,
};
