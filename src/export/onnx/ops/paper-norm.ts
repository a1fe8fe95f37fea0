import type { PaperNormOp } from '../../../program/types.js';
import { floorDivide, shiftPositive, shiftSigned } from '../arithmetic.js';
import type { IntegerGraph, Tensor } from '../graph.js';
import { asMatrix, requantized } from '../value.js';
import type { WriteOp } from './definition.js';

/** See `paperNormRow`. */
export const paperNorm: WriteOp<PaperNormOp> = (g, op, [value]) => {
  const x = g.cast(asMatrix(g, value, op.cols), 'int64');
  const y = g.binary('Sub', x, evenMean(g, x, op.cols));
  const variance = g.reduce('ReduceSum', g.binary('Mul', y, y), 1);
  let std = g.scalar('int64', 1 << 16);
  for (let i = 0; i < 10; i++) std = shiftPositive(g, g.binary('Add', std, g.binary('Div', variance, std)), 1);
  const factor = g.binary('Div', g.scalar('int64', 0x7fffffff), std);
  return requantized(g, op, shiftSigned(g, g.binary('Mul', y, factor), 1));
};

/**
 * Σx/D of each row, halves to the even number: with b = ⌊Σx/D⌋ and r = Σx − b·D it is b + 1 where 2r, and one more if
 * b is odd, passes D.
 */
function evenMean(g: IntegerGraph, x: Tensor, length: number): Tensor {
  const sum = g.reduce('ReduceSum', x, 1);
  const below = floorDivide(g, sum, length, BigInt(length) << 24n);
  const rest = g.binary('Sub', sum, g.with('Mul', below, length));
  const twice = g.binary('Add', g.with('Mul', rest, 2), g.with('BitwiseAnd', below, 1));
  const isAbove = g.op('Greater', [twice, g.scalar('int64', length)], 'bool');
  return g.binary('Add', below, g.cast(isAbove, 'int64'));
}
