import { TABLE_LIMIT } from '../limits.js';
import { greatest, requantized } from '../proof.js';
import { elements, type OpBase, type ValueId } from '../value.js';
import { integer, multiplierOf, offsetOf, type OpDefinition } from './definition.js';

/** Entries of a table: one every 256 steps of an i16, ends included. */
export const TABLE_ENTRIES = 257;

/**
 * Any function of one i16 number, by a table of 257 entries with straight lines between them (see `lookUp`);
 * requantized per channel. For tanh, sigmoid, ELU, clips, exponential, root, reciprocal.
 */
export interface LookupOp extends OpBase {
  readonly op: 'lookup';
  readonly x: ValueId;
  /** [257]: the function at −2^15, −2^15 + 256, … 2^15; within ±2^21. */
  readonly table: Int32Array;
  /** [cols]. */
  readonly multiplier: Int32Array;
  /** [cols]. */
  readonly offset: BigInt64Array;
  readonly shift: number;
}

export const lookup: OpDefinition<LookupOp> = {
  fields: { x: integer, shift: integer },
  tensors: (op) => [{ field: 'table', dtype: 'I32', shape: [TABLE_ENTRIES] }, multiplierOf(op), offsetOf(op)],
  operands: (op) => [op.x],
  validate(op, check, { values }) {
    check.type('x', values[op.x], 'i16');
    check.sameElements('x', values[op.x], elements(op));
    check.length('table', op.table, TABLE_ENTRIES);
    check.within('table', op.table, -TABLE_LIMIT, TABLE_LIMIT);
    check.multipliers(op);
  },
  /** Between two entries the result stays between them. */
  bound: (op) => requantized(op, greatest(op.table)),
};
