import { sizeOf } from '../constant.js';
import { isOperation, sameExpr, scalarValue, type Expr } from '../expr.js';
import { coarsen, refine } from '../../graph/layout.js';
import type { Idiom } from './idiom.js';

/** x / max(‖x‖₂, ε) along the last axis, as cosine attention has it. */
export const l2Norm: Idiom = {
  name: 'L2 norm',
  lower(expr, lowerer) {
    if (!isOperation(expr, 'mul')) return null;
    for (const [x, inverse] of [expr.inputs, [...expr.inputs].reverse()]) {
      if (!isOperation(inverse, 'reciprocal')) continue;
      const floor = lowerBound(inverse.inputs[0]);
      if (!isNormOf(floor.of, x)) continue;
      const cols = expr.shape.at(-1)!;
      const { x: source, rows, order } = lowerer.byRows(lowerer.lower(x), cols, x);
      const node = { op: 'l2Norm' as const, rows, cols, x: source, epsilon: floor.epsilon };
      return lowerer.emit(expr, node, [], expr.shape, coarsen(order, [rows * cols]));
    }
    return null;
  },
};

function lowerBound(expr: Expr): { of: Expr; epsilon: number } {
  if (isOperation(expr, 'max')) {
    const epsilon = scalarValue(expr.inputs[1]);
    if (epsilon !== null) return { of: expr.inputs[0], epsilon };
  }
  return { of: expr, epsilon: 0 };
}

/** √Σx² along the last axis, each row's norm where the row is, whatever order they were moved to meanwhile. */
function isNormOf(expr: Expr, x: Expr): boolean {
  const norms = elementsOf(expr);
  const root = norms.source;
  if (!isOperation(root, 'sqrt') || !isOperation(root.inputs[0], 'sum')) return false;
  const sum = root.inputs[0];
  const [square] = sum.inputs;
  const alongRows = sum.attributes.axes?.length === 1 && sum.attributes.axes[0] === sum.shape.length - 1;
  if (!alongRows || !isOperation(square, 'mul') || !sameExpr(square.inputs[0], square.inputs[1])) return false;
  const [squared] = square.inputs;
  if (root === expr && sameExpr(squared, x)) return true;
  const cols = x.shape.at(-1)!;
  const [wanted, summed] = [elementsOf(x), elementsOf(squared)];
  if (squared.shape.at(-1) !== cols || !sameExpr(wanted.source, summed.source)) return false;
  for (let row = 0; row < sizeOf(x.shape) / cols; row++) {
    const from = norms.at(row);
    for (let c = 0; c < cols; c++)
      if (from < 0 || wanted.at(row * cols + c) !== summed.at(from * cols + c)) return false;
  }
  return true;
}

/** Which of the source's elements each element of a view is. */
function elementsOf(expr: Expr): { source: Expr; at: (i: number) => number } {
  if (expr.op !== 'view' || expr.sources.length !== 1) return { source: expr, at: (i) => i };
  const { index } = refine(expr.layout, 1);
  return { source: expr.sources[0], at: (i) => index[i] };
}
