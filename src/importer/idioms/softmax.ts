import { isOperation, sameExpr, scalarValue, type Expr } from '../expr.js';
import { alongAxes } from './along-axes.js';
import type { Idiom } from './idiom.js';

/** A softmax outside of the attention that the kernels know. */
export const softmax: Idiom = {
  name: 'softmax',
  lower(expr, lowerer) {
    const x = softmaxInput(expr);
    if (x === null) return null;
    const axes = [x.shape.length - 1];
    return alongAxes(expr, { x, axes }, lowerer, (operand) => ({ op: 'softmax', ...operand }));
  },
};

/**
 * x of softmax(x) along the last axis, also where it is written out, exp(x − max x) / Σ exp(x − max x), as runtimes do
 * that expand the operator; null where `expr` is no softmax.
 */
export function softmaxInput(expr: Expr): Expr | null {
  if (!('inputs' in expr)) return null;
  if (expr.op === 'softmax') return expr.inputs[0];
  if (expr.op !== 'mul') return null;
  for (const [exp, inverse] of [expr.inputs, [...expr.inputs].reverse()]) {
    if (!isOperation(exp, 'exp') || !isOperation(inverse, 'reciprocal')) continue;
    const [sum] = inverse.inputs;
    const alongRows =
      isOperation(sum, 'sum') && sum.attributes.axes?.length === 1 && sum.attributes.axes[0] === sum.shape.length - 1;
    if (alongRows && sameExpr(sum.inputs[0], exp)) return withoutMaximum(exp.inputs[0]);
  }
  return null;
}

/** x of x − max x: a softmax is the same without it. */
function withoutMaximum(expr: Expr): Expr {
  if (!isOperation(expr, 'add')) return expr;
  for (const [x, negative] of [expr.inputs, [...expr.inputs].reverse()]) {
    if (!isOperation(negative, 'mul') || scalarValue(negative.inputs[1]) !== -1) continue;
    const [maximum] = negative.inputs;
    // The same along the row, whatever other axes it is of.
    const isOfRow = isOperation(maximum, 'maximum') && maximum.attributes.axes!.includes(maximum.shape.length - 1);
    if (isOfRow && sameExpr(maximum.inputs[0], x)) return x;
  }
  return expr;
}
