import * as v from 'valibot';
import { MAX_EPSILON, MAX_NORM_LENGTH, WIDE_LIMIT } from '../limits.js';
import { PRODUCT_BITS, requantized, within } from '../proof.js';
import { elements, type OpBase, type ValueId } from '../value.js';
import { decimalInteger, integer, multiplierOf, offsetOf, type OpDefinition } from './definition.js';

/**
 * I-LayerNorm over runs of `cols` elements of an i32 value (see `normalizeRow`), then requantize with `offset` (β).
 * With `center` false no mean is taken off: the integer L2 norm.
 */
export interface LayerNormOp extends OpBase {
  readonly op: 'layerNorm';
  readonly x: ValueId;
  readonly center: boolean;
  /** round(ε·cols/S²), added to the sum of squares. At most 2^53. */
  readonly epsilon: bigint;
  /** [cols]. */
  readonly multiplier: Int32Array;
  /** [cols]. */
  readonly offset: BigInt64Array;
  readonly shift: number;
}

/** |ŷ|: what is requantized. */
export const NORMALIZED = 1n << 30n;

export const layerNorm: OpDefinition<LayerNormOp> = {
  fields: { x: integer, center: v.boolean(), epsilon: decimalInteger, shift: integer },
  tensors: (op) => [multiplierOf(op), offsetOf(op)],
  operands: (op) => [op.x],
  validate(op, check, { values }) {
    check.type('x', values[op.x], 'i32');
    check.sameElements('x', values[op.x], elements(op));
    check.count('cols', op.cols, 1, MAX_NORM_LENGTH);
    check.that(op.epsilon >= 0n && op.epsilon <= MAX_EPSILON, `epsilon is ${op.epsilon}, not within 0 to 2^53`);
    check.multipliers(op);
  },
  bound(op) {
    // Σ(x − mean)² ≤ Σx² + D/4, as the mean is rounded to the nearest integer.
    const squares = BigInt(op.cols) * (BigInt(WIDE_LIMIT) ** 2n + 1n) + op.epsilon;
    within(op, squares, PRODUCT_BITS, 'the sum of squares');
    return requantized(op, NORMALIZED);
  },
};
