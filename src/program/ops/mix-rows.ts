import { MAX_ELEMENTS, WIDE_LIMIT, outputRange } from '../limits.js';
import { requantized, within } from '../proof.js';
import { elements, type OpBase, type ValueId } from '../value.js';
import { integer, multiplierOf, offsetOf, type OpDefinition } from './definition.js';

/**
 * Each row is a weighted sum of rows of an i32 value: v[r, n] = Σ_t weight[r, t]·x[index[r, t], n], |v| < 2^53. Then
 * requantize with `offset`. Average pooling, adaptive pooling, bilinear and bicubic resizing.
 */
export interface MixRowsOp extends OpBase {
  readonly op: 'mixRows';
  readonly x: ValueId;
  /** Rows that one row is made from, at most. */
  readonly taps: number;
  /** [rows, taps]: rows of x, read as rows of `cols` elements; −1: none. */
  readonly index: Int32Array;
  /** [rows, taps], in ±32767. */
  readonly weight: Int16Array;
  /** [cols]. */
  readonly multiplier: Int32Array;
  /** [cols]. */
  readonly offset: BigInt64Array;
  readonly shift: number;
}

const { hi: LARGEST } = outputRange({ type: 'i16' });
const SUM_BITS = 53;

export const mixRows: OpDefinition<MixRowsOp> = {
  fields: { x: integer, taps: integer, shift: integer },
  tensors: (op) => [
    { field: 'index', dtype: 'I32', shape: [op.rows, op.taps] },
    { field: 'weight', dtype: 'I16', shape: [op.rows, op.taps] },
    multiplierOf(op),
    offsetOf(op),
  ],
  operands: (op) => [op.x],
  validate(op, check, { values }) {
    const x = values[op.x];
    check.type('x', x, 'i32');
    check.count('taps', op.taps, 1, MAX_ELEMENTS);
    const total = elements(x);
    check.that(total % op.cols === 0, `x of ${total} elements has no whole rows of ${op.cols}`);
    check.length('index', op.index, op.rows * op.taps);
    check.length('weight', op.weight, op.rows * op.taps);
    for (const from of op.index) {
      check.that(from >= -1 && (from + 1) * op.cols <= total, `it reads row ${from}, outside its source`);
    }
    check.within('weight', op.weight, -LARGEST, LARGEST);
    check.multipliers(op);
  },
  bound(op) {
    let most = 0;
    for (let r = 0; r < op.rows; r++) {
      let sum = 0;
      for (let i = r * op.taps; i < (r + 1) * op.taps; i++) if (op.index[i] >= 0) sum += Math.abs(op.weight[i]);
      most = Math.max(most, sum);
    }
    return requantized(op, within(op, BigInt(most) * BigInt(WIDE_LIMIT), SUM_BITS, 'the weighted sum of rows'));
  },
  macs: (op) => op.index.length * op.cols,
};
