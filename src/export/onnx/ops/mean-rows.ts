import type { MeanRowsOp } from '../../../program/types.js';
import { asMatrix, requantized } from '../value.js';
import type { WriteOp } from './definition.js';

export const meanRows: WriteOp<MeanRowsOp> = (g, op, [x]) => {
  const { rows, cols, group } = op;
  const grouped = g.reshape(g.cast(asMatrix(g, x, cols), 'int64'), [rows, group, cols]);
  return requantized(g, op, g.reduce('ReduceSum', grouped, 1, 0));
};
