import { isOperation } from '../expr.js';
import { identityLayout, permute } from '../../graph/layout.js';
import { sizeOf } from '../constant.js';
import type { Idiom } from './idiom.js';

/** Mean pooling over tokens, as ReduceMean, a sum or GlobalAveragePool. */
export const meanRows: Idiom = {
  name: 'mean pooling',
  lower(expr, lowerer) {
    if (!isOperation(expr, 'mean') && !isOperation(expr, 'sum')) return null;
    const [x] = expr.inputs;
    const axes = expr.attributes.axes!;
    const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
    const group = sizeOf(axes.map((axis) => x.shape[axis]));
    const before = kept.filter((axis) => axis < axes[0] && x.shape[axis] > 1);
    const after = kept.filter((axis) => !before.includes(axis));
    // Along the last axis: its means become one row.
    const outer = sizeOf(after.map((axis) => x.shape[axis])) > 1 ? before : [];
    const inner = kept.filter((axis) => !outer.includes(axis));
    const perm = [...outer, ...axes, ...inner];
    const cols = sizeOf(inner.map((axis) => x.shape[axis]));
    const rows = sizeOf(outer.map((axis) => x.shape[axis]));
    const shape = perm.map((axis) => x.shape[axis]);
    const source = lowerer.inOrder(lowerer.rearranged(lowerer.lower(x), permute(x.shape, perm), shape), cols, x);
    const mean = lowerer.emit(
      expr,
      { op: 'meanRows', rows, cols, x: source, group },
      [],
      expr.shape,
      identityLayout(rows * cols),
    );
    if (expr.op === 'mean') return mean;
    const scale = new Float32Array(cols).fill(group);
    return lowerer.emit(
      expr,
      { op: 'affine', rows, cols, x: mean.sources[0], scale, shift: new Float32Array(cols) },
      [],
      expr.shape,
    );
  },
};
