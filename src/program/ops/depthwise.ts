import { outputRange } from '../limits.js';
import { ACCUMULATOR_BITS, requantized, within } from '../proof.js';
import type { OpBase, ValueId } from '../value.js';
import { integer, multiplierOf, offsetOf, padded, type OpDefinition } from './definition.js';
import { geometryFields, tapsOf, validateGeometry, type Geometry } from './geometry.js';

/**
 * A depthwise convolution of an i16 map: v[n] = Σ w[tap, n]·x[tap, n] over the taps of a window that lie inside the
 * map. |v| < 2^31, proven from the weights. Then requantize with `offset`, which holds the bias.
 */
export interface DepthwiseOp extends OpBase, Geometry {
  readonly op: 'depthwise';
  readonly x: ValueId;
  /** [taps, cols], in (ky, kx) order, in ±32767. */
  readonly weight: Int16Array;
  /** [cols]. */
  readonly multiplier: Int32Array;
  /** [cols]. */
  readonly offset: BigInt64Array;
  readonly shift: number;
}

/** Largest |w|, and largest |x|. */
const { hi: LARGEST } = outputRange({ type: 'i16' });

export const depthwise: OpDefinition<DepthwiseOp> = {
  fields: { x: integer, ...geometryFields, shift: integer },
  tensors: (op) => [{ field: 'weight', dtype: 'I16', shape: [tapsOf(op), op.cols] }, multiplierOf(op), offsetOf(op)],
  operands: (op) => [op.x],
  validate(op, check, { values }) {
    check.type('x', values[op.x], 'i16');
    validateGeometry(op, values[op.x], 1, check);
    check.length('weight', op.weight, tapsOf(op) * op.cols);
    check.within('weight', op.weight, -LARGEST, LARGEST);
    check.multipliers(op);
  },
  bound(op) {
    const sums = new Array<number>(op.cols).fill(0);
    op.weight.forEach((w, i) => (sums[i % op.cols] += Math.abs(w)));
    const accumulators = sums.map((sum, n) =>
      within(op, BigInt(sum * LARGEST), ACCUMULATOR_BITS, 'the sum of channel', n),
    );
    return requantized(op, accumulators);
  },
  // Weights are packed for up to 64 channels and two taps at a time, with what sums start from and how far they are
  // shifted. A thread lays out the columns that a segment of a line sees, and its dynamic rows.
  memory: (op) => ({
    constants: 2 * padded(op.cols) * ((op.kernel[0] + 1) * op.kernel[1] + 2) + 8 * padded(op.cols) + 1024,
    shared: 0,
    thread: (1 << 20) + 4096 + 4 * padded(op.cols) * Math.min(op.outSize[1] + 8, 1024),
  }),
  macs: (op) => op.rows * op.weight.length,
  parameters: (op) => op.weight.length + op.cols,
};
