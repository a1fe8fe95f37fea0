import { shiftExponential } from '../../../kernels/paper-rows.js';
import { outputRange } from '../../../program/limits.js';
import type { PaperGeluOp } from '../../../program/types.js';
import { atMost, shiftPositive } from '../arithmetic.js';
import type { IntegerGraph, Tensor } from '../graph.js';
import { asMatrix, requantized } from '../value.js';
import type { WriteOp } from './definition.js';

/** Fraction bits of its exponentials, and the shift of its sigmoid. */
const EXPONENTIAL_BITS = 23n;
const SIGMOID_SHIFT = 24;
const INT32_MAX = 0x7fffffff;
const { hi: MOST } = outputRange({ type: 'i8' });

/** See `shiftGeluRow`. Its exponentials are tables: x has 255 values, as has its distance from the maximum. */
export const paperGelu: WriteOp<PaperGeluOp> = (g, op, [value]) => {
  const x = g.cast(asMatrix(g, value, op.cols), 'int32');
  const max = g.reduce('ReduceMax', x, 1);
  const e = table(g, g.binary('Sub', max, x), op.x0, (at) => -at);
  const ofMax = table(g, g.with('Add', max, MOST), op.x0, (at) => MOST - at);
  const sum = atMost(g, g.binary('Add', e, ofMax), INT32_MAX);
  const reciprocal = g.binary('Div', g.scalar('int64', INT32_MAX), sum);
  const sigmoid = shiftPositive(g, g.binary('Mul', e, reciprocal), SIGMOID_SHIFT);
  return requantized(g, op, g.binary('Mul', g.cast(x, 'int64'), sigmoid));
};

/** E of `of(i)` for each index i of a tensor. Above 2^40 only the sum reads it, which is cut off at 2^31 − 1. */
function table(g: IntegerGraph, index: Tensor, x0: number, of: (at: number) => number): Tensor {
  const entries = BigInt64Array.from({ length: 2 * MOST + 1 }, (_, at) => {
    const e = shiftExponential(BigInt(of(at)), BigInt(x0), EXPONENTIAL_BITS);
    return e < 1n << 40n ? e : 1n << 40n;
  });
  return g.gather(g.constant(entries, [entries.length]), index);
}
