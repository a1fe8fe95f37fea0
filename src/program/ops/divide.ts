import { ACCUMULATOR_BITS, POWERS, requantized } from '../proof.js';
import { MAX_QUOTIENT_BITS, WIDE_LIMIT } from '../limits.js';
import { elements, type OpBase, type ValueId } from '../value.js';
import { integer, multiplierOf, offsetOf, type OpDefinition } from './definition.js';
import { validateBroadcast } from './multiply.js';

/**
 * The quotient of two i32 values in units of 2^−bits, element by element (see `divideRounded`), requantized per
 * channel. b has as many elements as a, or is broadcast (see `validateBroadcast`).
 */
export interface DivideOp extends OpBase {
  readonly op: 'divide';
  readonly a: ValueId;
  readonly b: ValueId;
  /** Fraction bits of the quotient: 0 to 28. */
  readonly bits: number;
  /** [cols]. */
  readonly multiplier: Int32Array;
  /** [cols]. */
  readonly offset: BigInt64Array;
  readonly shift: number;
}

export const divide: OpDefinition<DivideOp> = {
  fields: { a: integer, b: integer, bits: integer, shift: integer },
  tensors: (op) => [multiplierOf(op), offsetOf(op)],
  operands: (op) => [op.a, op.b],
  validate(op, check, { values }) {
    check.type('a', values[op.a], 'i32');
    check.type('b', values[op.b], 'i32');
    check.sameElements('a', values[op.a], elements(op));
    validateBroadcast(op, values[op.b], check);
    check.count('bits', op.bits, 0, MAX_QUOTIENT_BITS);
    check.multipliers(op);
  },
  /** The quotient is largest where b is 1; it is cut off at 2^31 − 1. */
  bound(op) {
    const largest = BigInt(WIDE_LIMIT) << BigInt(op.bits);
    const most = POWERS[ACCUMULATOR_BITS] - 1n;
    return requantized(op, largest < most ? largest : most);
  },
};
