/** Comparisons, logic and choices: of constants as numbers, of activations as steps of a function. */
import { broadcastShape, Constant, sizeOf } from '../constant.js';
import { isConstant, type ConstantExpr, type Expr } from '../expr.js';
import type { ExprBuilder } from '../expr-builder.js';
import type { Operator, OperatorContext } from '../operator.js';

/** Below this a masked score weighs nothing after the softmax (e^−1000 is zero in float32). */
const MASKED = -1000;

const where: Operator = (c) => {
  const [chosen, a, b] = [c.input(0), c.input(1), c.input(2)];
  if (!isConstant(chosen)) return c.b.where(chosen, a, b);
  const condition = chosen.value;
  if (isConstant(a) && isConstant(b)) {
    const kind = a.value.kind === 'float' || b.value.kind === 'float' ? 'float' : a.value.kind;
    return c.b.fold([condition, a.value, b.value], (yes, x, y) => (yes ? x : y), kind);
  }
  const { uniform } = condition;
  if (uniform !== null) {
    const shape = c.b.fold([condition], () => 0, 'float');
    return c.b.add(uniform ? a : b, shape);
  }
  if (!isConstant(a) && !isConstant(b)) return picked(c, condition, a, b);
  // Choosing between activations and a constant by a constant mask is a product and a sum.
  const [kept, other, keeps] = isConstant(b) ? [a, b, 1] : [b, a as ConstantExpr, 0];
  const mask = c.b.fold([condition], (v) => Number((v !== 0) === (keeps === 1)), 'float');
  const filled = c.b.fold([condition, other.value], (v, x) => ((v !== 0) === (keeps === 1) ? 0 : x), 'float');
  const data = other.value.data;
  if (data.every((value) => value <= MASKED)) return c.b.add(kept, filled);
  return c.b.add(c.b.mul(kept, mask), filled);
};

/** Of two activations, each element of the one or of the other. */
function picked(c: OperatorContext, condition: Constant, a: Expr, b: Expr): Expr {
  const shape = [a.shape, b.shape].reduce((all, own) => broadcastShape(all, own) ?? all, condition.shape);
  const yes = c.b.fold([condition, Constant.of(shape, 'bool', new Float64Array(sizeOf(shape)))], (v) => v);
  const size = sizeOf(shape);
  const index = Int32Array.from(yes.value.data, (v, i) => (v !== 0 ? i : size + i));
  return c.b.view([c.b.expand(a, shape), c.b.expand(b, shape)], { piece: 1, index }, shape);
}

/** Truth is 1, falsehood 0, so that logic is arithmetic; of constants it keeps its kind. */
const logic =
  (f: (...values: number[]) => boolean, written: (b: ExprBuilder, ...inputs: Expr[]) => Expr): Operator =>
  (c) => {
    const inputs = c.inputs.map((_, i) => c.input(i));
    if (!inputs.every(isConstant)) return written(c.b, ...inputs);
    return c.b.fold(
      inputs.map(({ value }) => value),
      (...values) => Number(f(...values)),
      'bool',
    );
  };

const not = (b: ExprBuilder, x: Expr): Expr => b.add(b.mul(x, b.scalar(-1)), b.scalar(1));

const compared =
  (op: Parameters<ExprBuilder['compare']>[0], isSwapped = false) =>
  (c: OperatorContext): Expr =>
    isSwapped ? c.b.compare(op, c.input(1), c.input(0)) : c.b.compare(op, c.input(0), c.input(1));

/** x where it is farther from zero than λ, moved towards it by a bias; 0 in between. */
const shrink: Operator = (c) => {
  const [x, lambda, bias] = [c.input(0), c.float('lambd', 0.5), c.float('bias', 0)];
  const moved = (by: number): Expr => c.b.add(x, c.b.scalar(by));
  const above = c.b.compare('greater', x, c.b.scalar(lambda));
  const below = c.b.compare('greater', c.b.scalar(-lambda), x);
  return c.b.where(above, moved(-bias), c.b.where(below, moved(bias), c.b.scalar(0)));
};

const thresholded: Operator = (c) => {
  const x = c.input(0);
  return c.b.mul(x, c.b.compare('greater', x, c.b.scalar(c.float('alpha', 1))));
};

export const choiceOperators: Readonly<Record<string, Operator>> = {
  Equal: compared('equal'),
  Greater: compared('greater'),
  GreaterOrEqual: compared('greaterOrEqual'),
  Less: compared('greater', true),
  LessOrEqual: compared('greaterOrEqual', true),
  And: logic(
    (a, b) => a !== 0 && b !== 0,
    (b, x, y) => b.mul(x, y),
  ),
  Or: logic(
    (a, b) => a !== 0 || b !== 0,
    (b, x, y) => b.extremum('max', x, y),
  ),
  Xor: logic(
    (a, b) => (a !== 0) !== (b !== 0),
    (b, x, y) => b.scalarOp('abs', b.sub(x, y)),
  ),
  Not: logic((a) => a === 0, not),
  Where: where,
  Shrink: shrink,
  ThresholdedRelu: thresholded,
};
