import type { SoftmaxOp } from '../../../program/types.js';
import { shiftPositive } from '../arithmetic.js';
import { belowMaximum, exponentials, scaleScores } from '../softmax.js';
import { asMatrix, requantized } from '../value.js';
import type { WriteOp } from './definition.js';

/** From so many whole log2 units below the maximum on, a weight is 0; see `softmaxRow`. */
const REACH = 22;

export const softmax: WriteOp<SoftmaxOp> = (g, op, [x]) => {
  const { cols, kind, fractionBits, scoreMultiplier, scoreShift } = op;
  const scores = scaleScores(g, asMatrix(g, x, cols), g.scalar('int64', scoreMultiplier), scoreShift);
  const d = belowMaximum(g, scores, 1, REACH << fractionBits);
  const e = g.cast(exponentials(g, d, { kind, fractionBits, raise: 8, reach: REACH }), 'int64');
  const sum = g.reduce('ReduceSum', e, 1);
  const dividend = g.binary('Add', g.with('Mul', e, 1 << 16), shiftPositive(g, sum, 1));
  return requantized(g, op, g.binary('Div', dividend, sum));
};
