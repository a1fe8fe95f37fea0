import { sizeOf } from '../constant.js';
import type { Expr } from '../expr.js';
import { coarsen, permute } from '../../graph/layout.js';
import type { Lowered, Lowerer, NewNode } from '../lower.js';

/**
 * Adds a node that treats each run of `cols` elements alike, a run being all of `x` along `axes`, wherever these lie.
 *
 * @returns its value in the shape of `x`
 */
export function alongAxes(
  expr: Expr,
  { x, axes }: { readonly x: Expr; readonly axes: readonly number[] },
  lowerer: Lowerer,
  make: (operand: { readonly x: string; readonly rows: number; readonly cols: number }) => NewNode,
): Lowered {
  const kept = [...x.shape.keys()].filter((axis) => !axes.includes(axis));
  const perm = [...kept, ...axes];
  const shape = perm.map((axis) => x.shape[axis]);
  const cols = sizeOf(axes.map((axis) => x.shape[axis]));
  const inPlace = perm.every((axis, i) => axis === i);
  const lowered = inPlace ? lowerer.lower(x) : lowerer.rearranged(lowerer.lower(x), permute(x.shape, perm), shape);
  const { x: source, rows, order } = lowerer.byRows(lowered, cols, x);
  const out = lowerer.emit(expr, make({ x: source, rows, cols }), [], shape, coarsen(order, [rows * cols]));
  if (inPlace) return out;
  return lowerer.rearranged(
    out,
    permute(
      shape,
      perm.map((_, axis) => perm.indexOf(axis)),
    ),
    x.shape,
  );
}
