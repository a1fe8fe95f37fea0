import { isConstant, isOperation } from '../expr.js';
import type { Idiom } from './idiom.js';

/** The sum of two activations. */
export const residual: Idiom = {
  name: 'residual sum',
  lower(expr, lowerer) {
    if (!isOperation(expr, 'add') || expr.inputs.some(isConstant)) return null;
    const [x, y] = expr.inputs;
    const left = lowerer.broadcast(lowerer.lower(x), expr.shape);
    const right = lowerer.broadcast(lowerer.lower(y), expr.shape);
    const { a, b, order } = lowerer.together(left, right, x, y);
    const { rows, cols } = lowerer.node(a);
    return lowerer.emit(expr, { op: 'add', rows, cols, a, b }, [], expr.shape, order);
  },
};
