import { MAX_ELEMENTS, MAX_EPSILON, MAX_GROUP_LENGTH, outputRange } from '../limits.js';
import { PRODUCT_BITS, requantized, within } from '../proof.js';
import { elements, type OpBase, type ValueId } from '../value.js';
import { decimalInteger, integer, multiplierOf, offsetOf, padded, type OpDefinition } from './definition.js';
import { NORMALIZED } from './layer-norm.js';

/**
 * Normalizes an i16 value over all rows of each group of cols/groups successive channels (see `normalizeGroups`), then
 * requantize with `offset` (β). One group is a layer norm of the whole map; a group for each channel, instance norm.
 */
export interface GroupNormOp extends OpBase {
  readonly op: 'groupNorm';
  readonly x: ValueId;
  readonly groups: number;
  /** round(ε·D/S²), D = rows·cols/groups, added to the sum of squares. At most 2^53. */
  readonly epsilon: bigint;
  /** [cols]. */
  readonly multiplier: Int32Array;
  /** [cols]. */
  readonly offset: BigInt64Array;
  readonly shift: number;
}

export const groupNorm: OpDefinition<GroupNormOp> = {
  fields: { x: integer, groups: integer, epsilon: decimalInteger, shift: integer },
  tensors: (op) => [multiplierOf(op), offsetOf(op)],
  operands: (op) => [op.x],
  validate(op, check, { values }) {
    check.type('x', values[op.x], 'i16');
    check.sameElements('x', values[op.x], elements(op));
    check.count('groups', op.groups, 1, MAX_ELEMENTS);
    check.that(op.cols % op.groups === 0, `${op.cols} columns are no ${op.groups} groups of as many`);
    check.that(
      elements(op) <= MAX_GROUP_LENGTH * op.groups,
      `a group has more than ${MAX_GROUP_LENGTH} of its ${elements(op)} elements`,
    );
    check.that(op.epsilon >= 0n && op.epsilon <= MAX_EPSILON, `epsilon is ${op.epsilon}, not within 0 to 2^53`);
    check.multipliers(op);
  },
  bound(op) {
    // Σ(x − mean)² ≤ Σx² + D/4, as the mean is rounded to the nearest integer.
    const { hi } = outputRange({ type: 'i16' });
    const squares = BigInt(MAX_GROUP_LENGTH) * (BigInt(hi) ** 2n + 1n) + op.epsilon;
    within(op, squares, PRODUCT_BITS, 'the sum of squares');
    return requantized(op, NORMALIZED);
  },
  // Sums and factors of each group.
  memory: ({ groups }) => ({ constants: 0, shared: 0, thread: 32 * padded(groups) }),
};
