/** Sums, means, norms and extrema along axes. */
import { Constant, sizeOf } from '../constant.js';
import { isConstant, type Expr } from '../expr.js';
import type { Operator, OperatorContext } from '../operator.js';

/** Reduces by `reduce` and drops the axes unless they are kept. */
const reduction =
  (
    reduce: (c: OperatorContext, x: Expr, axes: readonly number[]) => Expr,
    ofEach: (c: OperatorContext) => Expr = (c) => c.input(0),
  ): Operator =>
  (c) => {
    const x = c.input(0);
    const given = c.axes(1, x.shape.length);
    if ((given === null || given.length === 0) && c.int('noop_with_empty_axes', 0) === 1) return ofEach(c);
    const axes = given && given.length > 0 ? given : x.shape.map((_, axis) => axis);
    const reduced = reduce(c, x, axes);
    const kept = x.shape.filter((_, axis) => !axes.includes(axis));
    return c.int('keepdims', 1) === 1 ? reduced : c.b.reshape(reduced, kept);
  };

/** Largest of each run of a constant, or of activations. */
const largest = (c: OperatorContext, x: Expr, axes: readonly number[]): Expr =>
  isConstant(x) ? reducedConstant(c, x.value, axes, Math.max) : c.b.maximum(x, axes);

const negative = (c: OperatorContext, x: Expr): Expr => c.b.mul(x, c.b.scalar(-1));

const smallest = (c: OperatorContext, x: Expr, axes: readonly number[]): Expr =>
  isConstant(x) ? reducedConstant(c, x.value, axes, Math.min) : negative(c, c.b.maximum(negative(c, x), axes));

function reducedConstant(
  c: OperatorContext,
  x: Constant,
  axes: readonly number[],
  f: (a: number, b: number) => number,
): Expr {
  c.b.budget.make(x.size);
  const kept = x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
  const out: number[] = new Array<number>(sizeOf(kept));
  x.data.forEach((value, i) => {
    let to = 0;
    for (let axis = 0; axis < kept.length; axis++)
      to = to * kept[axis] + (kept[axis] === 1 ? 0 : Math.floor(i / sizeOf(x.shape.slice(axis + 1))) % x.shape[axis]);
    out[to] = to in out ? f(out[to], value) : value;
  });
  return c.b.constant(Constant.of(kept, x.kind, Float64Array.from(out)));
}

const square = (c: OperatorContext, x: Expr): Expr => c.b.mul(x, x);
const absolute = (c: OperatorContext, x: Expr): Expr => c.b.scalarOp('abs', x);
const sum = (c: OperatorContext, x: Expr, axes: readonly number[]): Expr => c.b.reduce('sum', x, axes);

/** log Σ exp(x), written so that no step overflows: m + log Σ exp(x − m), m being the largest. */
function logSumExp(c: OperatorContext, x: Expr, axes: readonly number[]): Expr {
  const most = largest(c, x, axes);
  const exp = c.b.scalarOp('exp', c.b.sub(x, most));
  return c.b.add(most, c.b.scalarOp('log', sum(c, exp, axes)));
}

export const reductionOperators: Readonly<Record<string, Operator>> = {
  ReduceMean: reduction((c, x, axes) => c.b.reduce('mean', x, axes)),
  ReduceSum: reduction(sum),
  ReduceSumSquare: reduction(
    (c, x, axes) => sum(c, square(c, x), axes),
    (c) => square(c, c.input(0)),
  ),
  ReduceL1: reduction(
    (c, x, axes) => sum(c, absolute(c, x), axes),
    (c) => absolute(c, c.input(0)),
  ),
  ReduceL2: reduction(
    (c, x, axes) => c.b.scalarOp('sqrt', sum(c, square(c, x), axes)),
    (c) => absolute(c, c.input(0)),
  ),
  ReduceLogSum: reduction(
    (c, x, axes) => c.b.scalarOp('log', sum(c, x, axes)),
    (c) => c.b.scalarOp('log', c.input(0)),
  ),
  ReduceLogSumExp: reduction(logSumExp),
  ReduceMax: reduction(largest),
  ReduceMin: reduction(smallest),
  // Only shape arithmetic multiplies along an axis.
  ReduceProd: reduction((c, _, axes) => reducedConstant(c, c.constant(0), axes, (a, b) => a * b)),
};
