import { sizeOf } from '../constant.js';
import { isOperation } from '../expr.js';
import { permute } from '../../graph/layout.js';
import type { Idiom } from './idiom.js';
import { chooseHeads, operand, viewOf } from './operand-views.js';

/** Any other product of two activations: scores and sums of attention in forms of their own. */
export const matmul: Idiom = {
  name: 'product of activations',
  lower(expr, lowerer) {
    if (!isOperation(expr, 'matmul')) return null;
    const [a, b] = expr.inputs;
    const outer = expr.shape.slice(0, -2);
    const [m, n] = expr.shape.slice(-2);
    const dim = a.shape.at(-1)!;
    const groups = sizeOf(outer);
    const right = lowerer.broadcast(lowerer.lower(b), [...outer, dim, n]);
    const swap = [...outer.keys(), outer.length + 1, outer.length];
    const operands = [
      operand(a, lowerer.broadcast(lowerer.lower(a), [...outer, m, dim]), m, dim),
      operand(b, lowerer.rearranged(right, permute(right.shape, swap), [...outer, n, dim]), n, dim),
    ];
    const heads = chooseHeads(operands, groups, outer.findLast((count) => count > 1) ?? 1, lowerer);
    const [aView, bView] = operands.map((o) => viewOf(o, groups, heads, lowerer, 'alike'));
    const batch = groups / heads;
    const node = {
      op: 'matmul' as const,
      rows: batch * m,
      cols: heads * n,
      ...{ a: aView, b: bView, batch, heads, m, n, dim },
    };
    return lowerer.emit(expr, node, [], expr.shape, permute([batch, m, heads, n], [0, 2, 1, 3]));
  },
};
