import { ExprBuilder } from '../expr-builder.js';
import { isOperation } from '../expr.js';
import type { Idiom } from './idiom.js';

/** The larger or smaller of two activations, or of one and a constant for each channel: b + max(a − b, 0). */
export const extremum: Idiom = {
  name: 'extremum',
  lower(expr, lowerer) {
    if (!isOperation(expr, 'max') && !isOperation(expr, 'min')) return null;
    const b = new ExprBuilder();
    b.origin = expr.origin;
    const [x, y] = expr.inputs;
    const isMax = expr.op === 'max';
    const excess = b.scalarOp('relu', isMax ? b.sub(x, y) : b.sub(y, x));
    return lowerer.lower(isMax ? b.add(excess, y) : b.sub(y, excess));
  },
};
