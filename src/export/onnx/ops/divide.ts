import type { DivideOp } from '../../../program/types.js';
import { atMost, shiftPositive } from '../arithmetic.js';
import { combine } from '../broadcast.js';
import type { IntegerGraph, Tensor } from '../graph.js';
import { requantized } from '../value.js';
import type { WriteOp } from './definition.js';

export const divide: WriteOp<DivideOp> = (g, op, operands) =>
  requantized(
    g,
    op,
    combine(g, op, operands, (a, b) => quotient(g, a, b, op.bits)),
  );

/** `divideRounded`: int64. */
function quotient(g: IntegerGraph, a: Tensor, b: Tensor, bits: number): Tensor {
  const magnitude = (x: Tensor): Tensor => g.op('Abs', [x], 'int32');
  const isNegative = (x: Tensor): Tensor => g.op('Less', [x, g.scalar('int32', 0)], 'bool');
  const divisor = g.cast(g.with('Max', magnitude(b), 1), 'int64');
  const raised = g.with('Mul', g.cast(magnitude(a), 'int64'), 2 ** bits);
  const dividend = g.binary('Add', raised, shiftPositive(g, divisor, 1));
  const q = atMost(g, g.binary('Div', dividend, divisor), 0x7fffffff);
  const opposed = g.op('Xor', [isNegative(a), isNegative(b)], 'bool');
  return g.op('Where', [opposed, g.op('Neg', [q], 'int64'), q], 'int64');
}
