import { outputRange } from '../limits.js';
import { requantized } from '../proof.js';
import { elements, type OpBase, type ValueId } from '../value.js';
import { integer, multiplierOf, offsetOf, perChannel, type OpDefinition } from './definition.js';

/**
 * Rotary position embedding: every channel, with its partner, turned by an angle of its token. Of `cols` columns of x
 * from `column` on, and tables cos and sin of `period` columns, all i16:
 *
 *     v[r, n] = x[r, column + n]·cos[t, n mod period] + x[r, column + partner[n]]·sin[t, n mod period]
 *
 * t = r mod the tables' rows; requantized per channel. The sign of the sine is the table's. (RoFormer, eq. 34)
 */
export interface RotateOp extends OpBase {
  readonly op: 'rotate';
  readonly x: ValueId;
  readonly cos: ValueId;
  readonly sin: ValueId;
  /** The first column of x that is read. */
  readonly column: number;
  /** [cols]: which of the columns read the sine multiplies. */
  readonly partner: Int32Array;
  /** [cols]. */
  readonly multiplier: Int32Array;
  /** [cols]. */
  readonly offset: BigInt64Array;
  readonly shift: number;
}

/** Two products of i16: below 2^31. */
const MOST = 2n * BigInt(outputRange({ type: 'i16' }).hi) ** 2n;

export const rotate: OpDefinition<RotateOp> = {
  fields: { x: integer, cos: integer, sin: integer, column: integer, shift: integer },
  tensors: (op) => [perChannel(op, 'partner', 'I32'), multiplierOf(op), offsetOf(op)],
  operands: (op) => [op.x, op.cos, op.sin],
  validate(op, check, { values }) {
    const [x, cos, sin] = [values[op.x], values[op.cos], values[op.sin]];
    check.type('x', x, 'i16');
    check.type('cos', cos, 'i16');
    check.type('sin', sin, 'i16');
    check.that(x.rows === op.rows, `x has ${x.rows} rows, not ${op.rows}`);
    check.count('column', op.column, 0, x.cols - 1);
    check.that(op.column + op.cols <= x.cols, `it reads up to column ${op.column + op.cols} of rows of ${x.cols}`);
    check.that(sin.cols === cos.cols, `sin has ${sin.cols} columns, cos has ${cos.cols}`);
    check.sameElements('sin', sin, elements(cos));
    check.that(op.cols % cos.cols === 0, `cos has ${cos.cols} columns, which do not divide ${op.cols}`);
    check.that(op.rows % cos.rows === 0, `cos has ${cos.rows} rows, which do not divide ${op.rows}`);
    check.length('partner', op.partner, op.cols);
    check.within('partner', op.partner, 0, op.cols - 1);
    check.multipliers(op);
  },
  bound: (op) => requantized(op, MOST),
};
