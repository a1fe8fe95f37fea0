import type { RotateOp } from '../../../program/types.js';
import type { IntegerGraph, Tensor } from '../graph.js';
import { requantized, type GraphValue } from '../value.js';
import type { WriteOp } from './definition.js';

export const rotate: WriteOp<RotateOp> = (g, op, [x, cos, sin]) => {
  const { rows, cols, column, partner } = op;
  const own = x.cols === cols ? x.data : g.slice(x.data, 1, column, column + cols);
  const other = g.gather(own, g.constant(partner, [cols]), 1);
  const sum = g.binary('Add', turned(g, op, own, cos), turned(g, op, other, sin));
  return requantized(g, op, g.reshape(sum, [rows, cols]));
};

/** The product with a table [T, P], which is repeated down and across: [rows/T, T, cols/P, P]. */
function turned(g: IntegerGraph, { rows, cols }: RotateOp, x: Tensor, table: GraphValue): Tensor {
  const { rows: times, cols: period } = table;
  const blocks = g.reshape(x, [rows / times, times, cols / period, period]);
  return g.binary('Mul', blocks, g.reshape(table.data, [times, 1, period]));
}
