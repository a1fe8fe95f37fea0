import { MAX_X0 } from '../limits.js';
import { larger, requantized } from '../proof.js';
import { elements, type OpBase, type ValueId } from '../value.js';
import { integer, multiplierOf, offsetOf, type OpDefinition } from './definition.js';

/**
 * The published ShiftGELU over runs of `cols` elements of an i8 value of one scale S (see `shiftGeluRow`), in units of
 * S·2^−7.
 */
export interface PaperGeluOp extends OpBase {
  readonly op: 'paperGelu';
  readonly x: ValueId;
  /** ⌊−1/(1.702·S)⌋: −2^15 to −1. */
  readonly x0: number;
  /** [cols]. */
  readonly multiplier: Int32Array;
  /** [cols]. */
  readonly offset: BigInt64Array;
  readonly shift: number;
}

export const paperGelu: OpDefinition<PaperGeluOp> = {
  fields: { x: integer, x0: integer, shift: integer },
  tensors: (op) => [multiplierOf(op), offsetOf(op)],
  operands: (op) => [op.x],
  validate(op, check, { values }) {
    check.type('x', values[op.x], 'i8');
    check.sameElements('x', values[op.x], elements(op));
    check.count('x0', op.x0, -MAX_X0, -1);
    check.multipliers(op);
  },
  // σ ≤ 127 as long as the sum of exponentials stays below 2^31; cut off there, σ ≤ ⌊−x0·2^23/2^24⌋.
  bound: (op) => requantized(op, 127n * larger(127n, BigInt(-op.x0 >> 1))),
};
