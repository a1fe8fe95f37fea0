import { coarsen, permute } from '../../graph/layout.js';
import { sizeOf } from '../constant.js';
import type { OperationExpr } from '../expr.js';
import type { Lowered, Lowerer } from '../lower.js';
import type { Idiom } from './idiom.js';
import { axisStrides } from './memory-order.js';

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

/**
 * The largest along axes: windows over a map that lies as the tensor does, so that channels stay columns and nothing is
 * moved but what has to be.
 */
function largest(expr: OperationExpr, lowerer: Lowerer): Lowered {
  const [x] = expr.inputs;
  const lowered = lowerer.lower(x);
  const { outer, group, between, columns } = orderOf(lowered, expr.attributes.axes!, lowerer);
  const dims = (of: readonly number[]): number[] => of.map((axis) => x.shape[axis]);
  const [above, taps, across, cols] = [outer, group, between, columns].map((of) => sizeOf(dims(of)));
  const perm = [...outer, ...group, ...between, ...columns];
  const source = lowerer.inOrder(lowerer.rearranged(lowered, permute(x.shape, perm), dims(perm)), cols, x);
  const geometry = {
    size: [above * taps, across] as const,
    kernel: [taps, 1] as const,
    stride: [taps, 1] as const,
    pad: [0, 0] as const,
    dilation: [1, 1] as const,
    outSize: [above, across] as const,
  };
  const written = [...outer, ...between, ...columns];
  const places = [...written].sort((a, b) => a - b).map((axis) => written.indexOf(axis));
  const rows = above * across;
  const node = { op: 'maxPool' as const, rows, cols, x: source, geometry };
  return lowerer.emit(expr, node, [], expr.shape, coarsen(permute(dims(written), places), [rows * cols]));
}

/** The axes of a tensor from the farthest apart in memory to the nearest, the last of them within one row. */
interface AxisOrder {
  readonly outer: readonly number[];
  /** Of which the largest is kept. */
  readonly group: readonly number[];
  readonly between: readonly number[];
  readonly columns: readonly number[];
}

function orderOf(lowered: Lowered, axes: readonly number[], lowerer: Lowerer): AxisOrder {
  const strides = axisStrides(lowered);
  const [group, kept] = [true, false].map((isReduced) =>
    [...strides.keys()].filter((axis) => axes.includes(axis) === isReduced).sort((a, b) => strides[b] - strides[a]),
  );
  const most = group.reduce((a, axis) => Math.max(a, strides[axis]), 0);
  const inner = kept.filter((axis) => strides[axis] < most);
  // Along what lies innermost: all that is kept becomes the columns.
  if (sizeOf(inner.map((axis) => lowered.shape[axis])) <= 1) return { outer: [], group, between: [], columns: kept };
  const outer = kept.filter((axis) => strides[axis] >= most);
  const width = lowerer.node(lowered.sources[0]).cols;
  const isChannel = (axis: number): boolean => strides[axis] < width;
  if (!inner.some(isChannel)) return { outer, group, between: [], columns: inner };
  return { outer, group, between: inner.filter((axis) => !isChannel(axis)), columns: inner.filter(isChannel) };
}
