import { MAX_NORM_LENGTH, WIDE_LIMIT } from '../limits.js';
import { PRODUCT_BITS, requantized, within } from '../proof.js';
import { elements, type OpBase, type ValueId } from '../value.js';
import { integer, multiplierOf, offsetOf, type OpDefinition } from './definition.js';
import { NORMALIZED } from './layer-norm.js';

/**
 * The published I-LayerNorm over runs of `cols` elements of an i32 value (see `paperNormRow`): ten iterations, no ε.
 */
export interface PaperNormOp extends OpBase {
  readonly op: 'paperNorm';
  readonly x: ValueId;
  /** [cols]. */
  readonly multiplier: Int32Array;
  /** [cols]. */
  readonly offset: BigInt64Array;
  readonly shift: number;
}

export const paperNorm: OpDefinition<PaperNormOp> = {
  fields: { x: integer, shift: integer },
  tensors: (op) => [multiplierOf(op), offsetOf(op)],
  operands: (op) => [op.x],
  validate(op, check, { values }) {
    check.type('x', values[op.x], 'i32');
    check.sameElements('x', values[op.x], elements(op));
    check.count('cols', op.cols, 1, MAX_NORM_LENGTH);
    check.multipliers(op);
  },
  bound(op) {
    // k ≥ ⌊√Σy²⌋ ≥ |y| after any step of the iteration, so that |y·⌊(2^31 − 1)/k⌋/2| < 2^30.
    within(op, BigInt(op.cols) * (BigInt(WIDE_LIMIT) ** 2n + 1n), PRODUCT_BITS, 'the sum of squares');
    return requantized(op, NORMALIZED);
  },
};
