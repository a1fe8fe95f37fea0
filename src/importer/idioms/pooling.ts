import { coarsen, identityLayout, permute } from '../../graph/layout.js';
import { sizeOf } from '../constant.js';
import type { OperationExpr } from '../expr.js';
import type { Lowered, Lowerer } from '../lower.js';
import type { Idiom } from './idiom.js';

/** Windows of pixels, or whole axes, of which the largest is kept; pixels that are sums of pixels. */
export const pooling: Idiom = {
  name: 'pooling',
  lower(expr, lowerer) {
    if (!('inputs' in expr)) return null;
    switch (expr.op) {
      case 'maximum':
        return largest(expr, lowerer);
      case 'maxPool':
      case 'mixRows':
        return ofPixels(expr, lowerer);
      default:
        return null;
    }
  },
};

function ofPixels(expr: OperationExpr, lowerer: Lowerer): Lowered {
  const [x] = expr.inputs;
  const [rows, cols] = expr.shape;
  const source = lowerer.inOrder(lowerer.lower(x), cols, x);
  const { geometry, mix } = expr.attributes;
  const node = geometry
    ? { op: 'maxPool' as const, rows, cols, x: source, geometry }
    : { op: 'mixRows' as const, rows, cols, x: source, ...mix! };
  return lowerer.emit(expr, node, [], expr.shape);
}

/** The largest along axes: of rows that follow each other, as a window over a map of one column. */
function largest(expr: OperationExpr, lowerer: Lowerer): Lowered {
  const [x] = expr.inputs;
  const axes = expr.attributes.axes!;
  const kept = [...x.shape.keys()].filter((axis) => !axes.includes(axis));
  const before = kept.filter((axis) => axis < axes[0]);
  const after = kept.filter((axis) => axis > axes[0]);
  // Along the last axis: what is before it becomes the columns.
  const outer = sizeOf(after.map((axis) => x.shape[axis])) > 1 ? before : [];
  const inner = kept.filter((axis) => !outer.includes(axis));
  const dims = (of: readonly number[]): number => sizeOf(of.map((axis) => x.shape[axis]));
  const perm = [...outer, ...axes, ...inner];
  const [rows, group, cols] = [dims(outer), dims(axes), dims(inner)];
  const shape = perm.map((axis) => x.shape[axis]);
  const source = lowerer.inOrder(lowerer.rearranged(lowerer.lower(x), permute(x.shape, perm), shape), cols, x);
  const geometry = {
    size: [rows * group, 1] as const,
    kernel: [group, 1] as const,
    stride: [group, 1] as const,
    pad: [0, 0] as const,
    dilation: [1, 1] as const,
    outSize: [rows, 1] as const,
  };
  const node = { op: 'maxPool' as const, rows, cols, x: source, geometry };
  return lowerer.emit(expr, node, [], expr.shape, coarsen(identityLayout(rows * cols), [rows * cols]));
}
