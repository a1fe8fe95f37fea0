import { isConstant, isOperation, type Expr, type OperationExpr } from '../expr.js';
import { sameShape } from '../constant.js';
import { gcd, invert, refine } from '../../graph/layout.js';
import type { Lowered, Lowerer } from '../lower.js';
import type { Idiom } from './idiom.js';

/** Elementwise products and quotients of two activations, one of which may be broadcast. */
export const product: Idiom = {
  name: 'product',
  lower(expr, lowerer) {
    if (!isOperation(expr, 'mul')) return null;
    const [x, y] = expr.inputs;
    for (const [a, b] of [
      [x, y],
      [y, x],
    ]) {
      const divisor = dividedBy(b);
      if (divisor && sameShape(a.shape, expr.shape)) return combine('divide', expr, [a, divisor], lowerer);
    }
    const swap = isConstant(x) || !sameShape(x.shape, expr.shape);
    return combine('multiply', expr, swap ? [y, x] : [x, y], lowerer);
  },
};

/** y where `expr` is 1/y, repeated or not. */
function dividedBy(expr: Expr): Expr | null {
  const inner = expr.op === 'view' && expr.broadcastOf ? expr.broadcastOf : expr;
  return isOperation(inner, 'reciprocal') ? inner.inputs[0] : null;
}

function combine(
  op: 'multiply' | 'divide',
  expr: OperationExpr,
  [x, y]: readonly [Expr, Expr],
  lowerer: Lowerer,
): Lowered {
  const left = lowerer.broadcast(lowerer.lower(x), expr.shape);
  const right = lowerer.lower(y);
  if (sameShape(y.shape, expr.shape) && !isRepeated(y)) {
    const { a, b, order } = lowerer.together(left, right, x, y);
    const { rows, cols } = lowerer.node(a);
    return lowerer.emit(expr, { op, rows, cols, a, b, bRows: rows, bCols: cols }, [], expr.shape, order);
  }
  const { x: a, order } = lowerer.anyOrder(left, x);
  const { rows, cols } = lowerer.node(a);
  const spread = lowerer.broadcast(right, expr.shape);
  const inOrder = lowerer.rearranged(spread, invert(order), [rows, cols]);
  const repeated = repeatedRows(inOrder, rows, cols, lowerer);
  const operand = repeated ?? { b: lowerer.inOrder(inOrder, cols, y), bRows: rows, bCols: cols };
  return lowerer.emit(expr, { op, rows, cols, a, ...operand }, [], expr.shape, order);
}

const isRepeated = (expr: Expr): boolean => expr.op === 'view' && expr.broadcastOf !== null;

/** Where all of one value's rows, or single elements, serve for runs of successive rows: that value; else null. */
function repeatedRows(
  { sources, layout }: Lowered,
  rows: number,
  cols: number,
  lowerer: Lowerer,
): { b: string; bRows: number; bCols: number } | null {
  if (sources.length !== 1) return null;
  const size = lowerer.sizeOf(sources[0]);
  const { piece, index } = refine(layout, gcd(layout.piece, cols));
  const perRow = cols / piece;
  for (const bCols of [cols, 1]) {
    const bRows = size / bCols;
    if (!Number.isInteger(bRows) || bRows > rows || rows % bRows !== 0 || (bCols === 1 && piece !== 1)) continue;
    const fits = index.every((from, i) => {
      const row = Math.floor((Math.floor(i / perRow) * bRows) / rows);
      return from === (bCols === 1 ? row : row * perRow + (i % perRow));
    });
    if (fits) return { b: sources[0], bRows, bCols };
  }
  return null;
}

/** x times a constant of any shape. */
export function timesConstant(expr: OperationExpr, lowerer: Lowerer): Lowered {
  return combine('multiply', expr, [expr.inputs[0], expr.inputs[1]], lowerer);
}
