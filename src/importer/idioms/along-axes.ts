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
  return withAxesLast(expr, { x, axes }, lowerer, ({ lowered, shape, cols }) => {
    const { x: source, rows, order } = lowerer.byRows(lowered, cols, x);
    return lowerer.emit(expr, make({ x: source, rows, cols }), [], shape, coarsen(order, [rows * cols]));
  });
}

/** A value whose last axes make runs of `cols` elements. */
export interface Runs {
  readonly lowered: Lowered;
  readonly shape: readonly number[];
  readonly cols: number;
}

/** What `add` makes of `x` with `axes` moved to the end, in the shape of `x` again. */
export function withAxesLast(
  expr: Expr,
  { x, axes }: { readonly x: Expr; readonly axes: readonly number[] },
  lowerer: Lowerer,
  add: (runs: Runs) => Lowered,
): Lowered {
  const kept = [...x.shape.keys()].filter((axis) => !axes.includes(axis));
  const perm = [...kept, ...axes];
  const shape = perm.map((axis) => x.shape[axis]);
  const cols = sizeOf(axes.map((axis) => x.shape[axis]));
  const inPlace = perm.every((axis, i) => axis === i);
  const lowered = inPlace ? lowerer.lower(x) : lowerer.rearranged(lowerer.lower(x), permute(x.shape, perm), shape);
  const out = add({ lowered, shape, cols });
  if (inPlace) return out;
  return lowerer.rearranged(
    out,
    permute(
      shape,
      perm.map((_, axis) => perm.indexOf(axis)),
    ),
    expr.shape,
  );
}
