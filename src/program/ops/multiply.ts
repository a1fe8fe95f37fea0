import type { OpCheck } from '../check.js';
import { outputRange } from '../limits.js';
import { requantized } from '../proof.js';
import { elements, type OpBase, type ValueId, type ValueInfo } from '../value.js';
import { integer, multiplierOf, offsetOf, type OpDefinition } from './definition.js';

/**
 * The product of two i16 values, element by element: v = a·b, requantized per channel. b has as many elements as a, or
 * is broadcast (see `validateBroadcast`): gates, rotary tables, scales of channels or of tokens.
 */
export interface MultiplyOp extends OpBase {
  readonly op: 'multiply';
  readonly a: ValueId;
  readonly b: ValueId;
  /** [cols]. */
  readonly multiplier: Int32Array;
  /** [cols]. */
  readonly offset: BigInt64Array;
  readonly shift: number;
}

const MOST = BigInt(outputRange({ type: 'i16' }).hi) ** 2n;

export const multiply: OpDefinition<MultiplyOp> = {
  fields: { a: integer, b: integer, shift: integer },
  tensors: (op) => [multiplierOf(op), offsetOf(op)],
  operands: (op) => [op.a, op.b],
  validate(op, check, { values }) {
    check.type('a', values[op.a], 'i16');
    check.type('b', values[op.b], 'i16');
    check.sameElements('a', values[op.a], elements(op));
    validateBroadcast(op, values[op.b], check);
    check.multipliers(op);
  },
  bound: (op) => requantized(op, MOST),
};

/**
 * The second operand of a product or quotient [rows, cols] has as many elements, or else is broadcast: its rows divide
 * those of the result, of which row r reads row ⌊r·rows_b/rows⌋; its columns are as many, or one that serves them all.
 */
export function validateBroadcast(op: OpBase, b: ValueInfo, check: OpCheck): void {
  if (elements(b) === elements(op)) return;
  check.that(op.rows % b.rows === 0, `b has ${b.rows} rows, which do not divide ${op.rows}`);
  check.that(b.cols === op.cols || b.cols === 1, `b has ${b.cols} columns, not ${op.cols} or 1`);
}
