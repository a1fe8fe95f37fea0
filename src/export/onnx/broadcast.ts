import { broadcastOf } from '../../kernels/broadcast.js';
import type { ValueInfo } from '../../program/value.js';
import type { IntegerGraph, Tensor } from './graph.js';
import { asMatrix, type GraphValue } from './value.js';

/** A function of two values, the second laid over the first as `Broadcast` says: [rows, cols]. */
export function combine(
  g: IntegerGraph,
  { rows, cols }: ValueInfo,
  [a, b]: readonly GraphValue[],
  apply: (a: Tensor, b: Tensor) => Tensor,
): Tensor {
  const { group, isColumn } = broadcastOf({ rows, cols }, b);
  const width = isColumn ? 1 : cols;
  if (group === 1) return apply(asMatrix(g, a, cols), asMatrix(g, b, width));
  const grouped = apply(g.reshape(a.data, [-1, group, cols]), g.reshape(b.data, [-1, 1, width]));
  return g.reshape(grouped, [rows, cols]);
}
