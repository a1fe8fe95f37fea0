import * as v from 'valibot';
import { WIDE_LIMIT } from '../limits.js';
import { checkProducts, requantized } from '../proof.js';
import { elements, type OpBase, type ValueId } from '../value.js';
import type { SoftmaxKind } from './attention.js';
import { integer, multiplierOf, offsetOf, type OpDefinition } from './definition.js';

/**
 * Softmax along each row of an i32 value, in units of 2^−16 (see `softmaxRow`), requantized per channel. The dyadic
 * number scoreMultiplier/2^scoreShift brings x to log2 units with `fractionBits` bits.
 */
export interface SoftmaxOp extends OpBase {
  readonly op: 'softmax';
  readonly x: ValueId;
  readonly kind: SoftmaxKind;
  /** 8 to 11. */
  readonly fractionBits: number;
  readonly scoreMultiplier: number;
  readonly scoreShift: number;
  /** [cols]. */
  readonly multiplier: Int32Array;
  /** [cols]. */
  readonly offset: BigInt64Array;
  readonly shift: number;
}

/** A row whose other weights are all 0. */
const ONE = 1n << 16n;

export const softmax: OpDefinition<SoftmaxOp> = {
  fields: {
    x: integer,
    kind: v.picklist(['shift', 'quadratic']),
    fractionBits: integer,
    scoreMultiplier: integer,
    scoreShift: integer,
    shift: integer,
  },
  tensors: (op) => [multiplierOf(op), offsetOf(op)],
  operands: (op) => [op.x],
  validate(op, check, { values }) {
    check.type('x', values[op.x], 'i32');
    check.sameElements('x', values[op.x], elements(op));
    check.count('fractionBits', op.fractionBits, 8, 11);
    check.count('scoreMultiplier', op.scoreMultiplier, 1 - 2 ** 31, 2 ** 31 - 1);
    check.count('scoreShift', op.scoreShift, 1, 62);
    check.multipliers(op);
  },
  bound(op) {
    const scores = { multiplier: Int32Array.of(op.scoreMultiplier), shift: op.scoreShift };
    checkProducts(op, scores, BigInt(WIDE_LIMIT), 'a score');
    return requantized(op, ONE);
  },
};
