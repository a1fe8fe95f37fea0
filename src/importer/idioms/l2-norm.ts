import { sizeOf } from '../constant.js';
import { isOperation, sameExpr, scalarValue, type Expr } from '../expr.js';
import { refine } from '../../graph/layout.js';
import { alongAxes } from './along-axes.js';
import type { Idiom } from './idiom.js';

/** x / max(‖x‖₂, ε), as cosine attention has it. */
export const l2Norm: Idiom = {
  name: 'L2 norm',
  lower(expr, lowerer) {
    if (!isOperation(expr, 'mul')) return null;
    for (const [x, inverse] of [expr.inputs, [...expr.inputs].reverse()]) {
      if (!isOperation(inverse, 'reciprocal')) continue;
      const floor = lowerBound(inverse.inputs[0]);
      const axes = axesOfNorm(floor.of, x);
      if (axes === null) continue;
      return alongAxes(expr, { x, axes }, lowerer, (operand) => ({
        op: 'l2Norm',
        ...operand,
        epsilon: floor.epsilon,
      }));
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

/**
 * The axes of √Σx², or null where `expr` is something else. Along the last axis each row's norm may be where the row
 * is, whatever order they were moved to meanwhile.
 */
function axesOfNorm(expr: Expr, x: Expr): readonly number[] | null {
  const norms = elementsOf(expr);
  const root = norms.source;
  if (!isOperation(root, 'sqrt') || !isOperation(root.inputs[0], 'sum')) return null;
  const sum = root.inputs[0];
  const axes = sum.attributes.axes!;
  const [square] = sum.inputs;
  if (!isOperation(square, 'mul') || !sameExpr(square.inputs[0], square.inputs[1])) return null;
  const [squared] = square.inputs;
  if (root === expr && sameExpr(squared, x)) return axes;
  const isAlongRows = axes.length === 1 && axes[0] === sum.shape.length - 1;
  return isAlongRows && isMovedAlike(norms, x, squared) ? [x.shape.length - 1] : null;
}

/** Whether each row of `x` is the row of `squared` whose norm stands in its place. */
function isMovedAlike(norms: Elements, x: Expr, squared: Expr): boolean {
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
interface Elements {
  readonly source: Expr;
  readonly at: (i: number) => number;
}

function elementsOf(expr: Expr): Elements {
  if (expr.op !== 'view' || expr.sources.length !== 1) return { source: expr, at: (i) => i };
  const { index } = refine(expr.layout, 1);
  return { source: expr.sources[0], at: (i) => index[i] };
}
