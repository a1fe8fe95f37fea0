/** The parts of a LayerNorm that is written out, in the ways that exporters write them. */
import { sameShape, sizeOf } from '../constant.js';
import { ExprBuilder } from '../expr-builder.js';
import { isConstant, isOperation, isReshape, sameExpr, scalarValue } from '../expr.js';
import type { ConstantExpr, Expr, Operation, OperationExpr } from '../expr.js';

/** Something computed of x along axes. */
interface Statistic {
  readonly x: Expr;
  readonly axes: readonly number[];
}

export const isSame = (a: Statistic, b: Statistic): boolean => a.axes.join() === b.axes.join() && sameExpr(a.x, b.x);

/** What a tensor is but for its shape. */
function bare(expr: Expr): Expr {
  return expr.op === 'view' && isReshape(expr) ? expr.sources[0] : expr;
}

const operation = (expr: Expr, op: Operation): OperationExpr | null => (isOperation(expr, op) ? expr : null);

/** How far a share may be from 1/n to be taken for it. */
const ROUNDING = 1e-6;

/** The x of mean(x), also where it is a sum over n. */
function meanOf(expr: Expr): Statistic | null {
  const inner = bare(expr);
  const mean = operation(inner, 'mean');
  if (mean) return { x: mean.inputs[0], axes: mean.attributes.axes! };
  const product = operation(inner, 'mul');
  const share = product && scalarValue(product.inputs[1]);
  const sum = product && operation(bare(product.inputs[0]), 'sum');
  if (share === null || !sum) return null;
  const [x] = sum.inputs;
  const count = sizeOf(x.shape) / sizeOf(sum.shape);
  return Math.abs(share * count - 1) < ROUNDING ? { x, axes: sum.attributes.axes! } : null;
}

/** The x of −mean(x) where it is added to a tensor of this shape. */
function negativeMeanOf(expr: Expr, shape: readonly number[]): Statistic | null {
  if (!isOperation(expr, 'mul') || scalarValue(expr.inputs[1]) !== -1) return null;
  const found = meanOf(expr.inputs[0]);
  return found && isKept(expr.inputs[0], found.axes, shape) ? found : null;
}

/** Whether a statistic lies where its axes were. */
function isKept({ shape: own }: Expr, axes: readonly number[], shape: readonly number[]): boolean {
  const padded = [...new Array<number>(Math.max(0, shape.length - own.length)).fill(1), ...own];
  return sameShape(
    padded,
    shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim)),
  );
}

/** The x of x − mean(x), and the axes of the mean. */
export function centredOf(expr: Expr): Statistic | null {
  if (!isOperation(expr, 'add')) return null;
  for (const [x, negated] of [expr.inputs, [...expr.inputs].reverse()]) {
    const found = negativeMeanOf(negated, x.shape);
    if (found && sameExpr(found.x, x)) return found;
  }
  return null;
}

/** A variance: mean((x − mean)²), mean(x²) − mean², or its sum over something else than n. */
interface Variance extends Statistic {
  /** What part of the mean of squares it is: 1, or n/(n − 1). */
  readonly share: number;
}

function varianceOf(expr: Expr): Variance | null {
  const inner = bare(expr);
  if (!('inputs' in inner)) return null;
  const [first, second] = inner.inputs;
  switch (inner.op) {
    // Rounding may make a difference of means negative.
    case 'relu':
    case 'abs':
      return varianceOf(first);
    case 'add':
      return differenceOfMeans(inner);
    case 'mul': {
      const factor = scalarValue(second);
      const found = factor !== null && factor > 0 ? varianceOf(first) : null;
      return found && { ...found, share: unit(found.share * factor!) };
    }
    case 'mean':
    case 'sum': {
      const root = rootOf(first);
      const found = root && centredOf(root);
      if (!found || found.axes.join() !== inner.attributes.axes!.join()) return null;
      return { ...found, share: inner.op === 'mean' ? 1 : sizeOf(first.shape) / sizeOf(inner.shape) };
    }
    default:
      return null;
  }
}

const unit = (share: number): number => (Math.abs(share - 1) < ROUNDING ? 1 : share);

/** c of c·c or of |c|². */
function rootOf(expr: Expr): Expr | null {
  if (!isOperation(expr, 'mul') || !sameExpr(expr.inputs[0], expr.inputs[1])) return null;
  const [root] = expr.inputs;
  return isOperation(root, 'abs') ? root.inputs[0] : root;
}

/** mean(x²) − mean(x)². */
function differenceOfMeans({ inputs }: OperationExpr): Variance | null {
  for (const [squares, negated] of [inputs, [...inputs].reverse()]) {
    if (!isOperation(negated, 'mul') || scalarValue(negated.inputs[1]) !== -1) continue;
    const of = meanOf(squares);
    const x = of && rootOf(of.x);
    const root = rootOf(bare(negated.inputs[0]));
    const mean = root && meanOf(root);
    if (of && x && mean && isSame(mean, { x, axes: of.axes })) return { x, axes: of.axes, share: 1 };
  }
  return null;
}

/** 1/√(share · variance + ε). */
interface Deviation extends Variance {
  readonly epsilon: number;
}

/** An ε beside the deviation itself is no more than this. As ε² beside the variance it does the same. */
const SMALL = 1e-6;

/** The parts of 1/√(variance + ε), or of 1/(√variance + ε). */
export function inverseDeviation(expr: Expr): Deviation | null {
  const of = operation(bare(expr), 'reciprocal')?.inputs[0];
  if (!of) return null;
  const root = operation(bare(of), 'sqrt');
  if (root) return deviationOf(root.inputs[0], 0);
  const sum = operation(bare(of), 'add');
  const epsilon = sum && scalarValue(sum.inputs[1]);
  const inner = sum && operation(bare(sum.inputs[0]), 'sqrt');
  if (!inner || epsilon === null || !(epsilon >= 0 && epsilon <= SMALL)) return null;
  return deviationOf(inner.inputs[0], epsilon);
}

/** @param added to the root */
function deviationOf(expr: Expr, added: number): Deviation | null {
  const sum = operation(bare(expr), 'add');
  const epsilon = sum && scalarValue(sum.inputs[1]);
  const variance = varianceOf(sum && epsilon !== null ? sum.inputs[0] : expr);
  return variance && { ...variance, epsilon: (epsilon ?? 0) + added ** 2 };
}

/** A product as its factors: constants, and what the image changes. */
interface Factors {
  readonly constants: readonly ConstantExpr[];
  readonly others: readonly Expr[];
}

function factorsOf(expr: Expr): Factors {
  if (isConstant(expr)) return { constants: [expr], others: [] };
  if (!isOperation(expr, 'mul') || rootOf(expr)) return { constants: [], others: [expr] };
  const parts = expr.inputs.map(factorsOf);
  return { constants: parts.flatMap((part) => part.constants), others: parts.flatMap((part) => part.others) };
}

/** A LayerNorm whose factors and summands stand among its parts, with them after it; null where it is none. */
export function rewritten(expr: OperationExpr): Expr | null {
  if (expr.op === 'mul') return withFactors(expr);
  return expr.op === 'add' ? withMeanApart(expr) : null;
}

/** (x − mean) · γ/√(variance + ε), or with a share of the variance. */
function withFactors(expr: OperationExpr): Expr | null {
  // What stands after all of it is no part of it.
  if (expr.inputs.some(isConstant)) return null;
  const { constants, others } = factorsOf(expr);
  if (others.length !== 2) return null;
  for (const [centred, inverse] of [others, [...others].reverse()]) {
    const found = centredOf(centred);
    const deviation = found && inverseDeviation(inverse);
    if (!deviation || !isSame(deviation, found)) continue;
    // Else it is the plain form, which needs no rewriting.
    if (constants.length === 0 && deviation.share === 1) return null;
    return scaled(centred, deviation, constants);
  }
  return null;
}

function scaled(centred: Expr, { axes, epsilon, share }: Deviation, constants: readonly ConstantExpr[]): Expr {
  const b = new ExprBuilder();
  const variance = b.reduce('mean', b.mul(centred, centred), axes);
  const inverse = b.power(b.add(variance, b.scalar(epsilon / share)), -0.5);
  const product = constants.reduce<Expr>((all, constant) => b.mul(all, constant), b.mul(centred, inverse));
  return b.mul(product, b.scalar(1 / Math.sqrt(share)));
}

/** x·s + (β − mean·s) with s = γ/√(variance + ε), as TensorFlow's batch_normalization has it. */
function withMeanApart(expr: OperationExpr): Expr | null {
  const { constants, others } = summandsOf(expr);
  if (others.length !== 2) return null;
  for (const [first, second] of [others, [...others].reverse()]) {
    const [plain, negative] = [factorsOf(first), factorsOf(second)];
    if (plain.others.length !== 2 || negative.others.length !== 2) continue;
    for (const [x, inverse] of [plain.others, [...plain.others].reverse()]) {
      const deviation = inverseDeviation(inverse);
      if (!deviation || !sameExpr(deviation.x, x)) continue;
      const mean = negative.others.find((other) => !sameExpr(other, inverse));
      const found = mean && meanOf(mean);
      if (!found || !isSame(found, deviation) || !isKept(mean, found.axes, x.shape)) continue;
      if (!negative.others.some((other) => sameExpr(other, inverse))) continue;
      if (!isOpposite(plain.constants, negative.constants)) continue;
      const b = new ExprBuilder();
      const norm = scaled(b.sub(x, mean), deviation, plain.constants);
      return constants.reduce<Expr>((sum, constant) => b.add(sum, constant), norm);
    }
  }
  return null;
}

/** A sum as its summands. */
function summandsOf(expr: Expr): Factors {
  if (isConstant(expr)) return { constants: [expr], others: [] };
  if (!isOperation(expr, 'add')) return { constants: [], others: [expr] };
  const parts = expr.inputs.map(summandsOf);
  return { constants: parts.flatMap((part) => part.constants), others: parts.flatMap((part) => part.others) };
}

/** Whether two products of constants differ in their sign alone. */
function isOpposite(a: readonly ConstantExpr[], b: readonly ConstantExpr[]): boolean {
  const builder = new ExprBuilder();
  const product = (of: readonly ConstantExpr[]): Expr =>
    of.reduce<Expr>((all, constant) => builder.mul(all, constant), builder.scalar(1));
  const sum = builder.add(product(a), product(b));
  return isConstant(sum) && sum.value.uniform === 0;
}
