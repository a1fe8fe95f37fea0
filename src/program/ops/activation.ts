import { outputRange } from '../limits.js';
import { requantized, within } from '../proof.js';
import { elements, type OpBase, type ValueId } from '../value.js';
import { integer, multiplierOf, offsetOf, type OpDefinition } from './definition.js';

/**
 * An activation x·σ(x)-like: y = max(x, 0) − H(|x|), H even, given by 64 knots at multiples of 2^spacing, linear
 * between them, 0 from 64·2^spacing on (see `activate`). x is `i16`; y has x's fraction bits. Then requantize with
 * `offset`.
 */
export interface ActivationOp extends OpBase {
  readonly op: 'activation';
  readonly x: ValueId;
  /** [64]: H at 0, 2^spacing, 2·2^spacing, … 63·2^spacing; H(64·2^spacing) = 0. */
  readonly knots: Int16Array;
  /** 0 to 15. */
  readonly spacing: number;
  /** [cols]. */
  readonly multiplier: Int32Array;
  /**
   * [cols]: an input range need not be symmetric, nor the same for all channels; the next layer's bias takes it back.
   */
  readonly offset: BigInt64Array;
  readonly shift: number;
}

export const activation: OpDefinition<ActivationOp> = {
  fields: { x: integer, spacing: integer, shift: integer },
  tensors: (op) => [{ field: 'knots', dtype: 'I16', shape: [64] }, multiplierOf(op), offsetOf(op)],
  operands: (op) => [op.x],
  validate(op, check, { values }) {
    check.type('x', values[op.x], 'i16');
    check.sameElements('x', values[op.x], elements(op));
    check.length('knots', op.knots, 64);
    check.count('spacing', op.spacing, 0, 15);
    check.multipliers(op);
  },
  bound: (op) => requantized(op, mostOf(op)),
};

/**
 * Most of |max(x, 0) − H(|x|)|. Between two knots H stays between their values, so each segment's ends decide. The
 * result, and the step from knot to knot, must fit 16 bits, in which SIMD units interpolate.
 */
function mostOf(op: ActivationOp): bigint {
  let most = outputRange({ type: 'i16' }).hi;
  op.knots.forEach((knot, i) => {
    const next = i + 1 < op.knots.length ? op.knots[i + 1] : 0;
    within(op, Math.abs(next - knot), 15, 'the step after knot', i);
    const end = Math.min(((i + 1) << op.spacing) - 1, 32767);
    if (i << op.spacing > 32767) return;
    const low = Math.min(knot, next);
    const high = Math.max(knot, next);
    most = Math.max(most, within(op, Math.max(Math.abs(end - low), Math.abs(high)), 15, 'the result after knot', i));
  });
  return BigInt(most);
}
