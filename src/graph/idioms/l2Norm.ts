import { isOperation, sameExpr, scalarValue, type Expr } from '../expr.js';
import { coarsen } from '../layout.js';
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

/** √Σx² along the last axis. */
function isNormOf(expr: Expr, x: Expr): boolean {
  if (!isOperation(expr, 'sqrt') || !isOperation(expr.inputs[0], 'sum')) return false;
  const sum = expr.inputs[0];
  const [square] = sum.inputs;
  const alongRows = sum.attributes.axes?.length === 1 && sum.attributes.axes[0] === sum.shape.length - 1;
  return alongRows && isOperation(square, 'mul') && square.inputs.every((factor) => sameExpr(factor, x));
}
