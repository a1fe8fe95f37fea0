import { InputError } from '../../errors.js';
import { sizeOf } from '../constant.js';
import { isConstant, scalarValue, type Expr } from '../expr.js';
import type { Operator } from '../operator.js';
import { Unsupported } from '../problems.js';
import type { ScalarOp } from '../../graph/scalar.js';
import { einsum } from './einsum.js';

const scalarOperator =
  (op: ScalarOp): Operator =>
  (c) =>
    c.b.scalarOp(op, c.input(0));

const div: Operator = (c) => {
  const [a, b] = [c.input(0), c.input(1)];
  if (isConstant(a) && isConstant(b) && a.value.kind === 'int' && b.value.kind === 'int')
    return c.b.fold([a.value, b.value], (x, y) => Math.trunc(x / y));
  return c.b.div(a, b);
};

const pow: Operator = (c) => {
  const [base, exponent] = [c.input(0), c.input(1)];
  if (isConstant(base) && isConstant(exponent))
    return c.b.fold([base.value, exponent.value], (x, y) => x ** y, base.value.kind);
  const power = scalarValue(exponent);
  if (power === null)
    throw new Unsupported('the exponent is no single constant', 'export the model with constant exponents');
  return c.b.power(base, power);
};

const extremum =
  (op: 'max' | 'min'): Operator =>
  (c) =>
    c.inputs.map((_, i) => c.input(i)).reduce((a, b) => c.b.extremum(op, a, b));

const clip: Operator = (c) => {
  let x = c.input(0);
  const bound = (i: number, name: string): Expr | null => {
    if (c.has(i)) return c.input(i);
    return c.node.attributes.has(name) ? c.b.scalar(c.float(name, 0)) : null;
  };
  const [low, high] = [bound(1, 'min'), bound(2, 'max')];
  if (low) x = c.b.extremum('max', x, low);
  if (high) x = c.b.extremum('min', x, high);
  return x;
};

const softmax: Operator = (c) => {
  const x = c.input(0);
  const rank = x.shape.length;
  const axis = c.axis(c.int('axis', c.opset >= 13 ? -1 : 1), rank);
  if (axis === rank - 1) return c.b.softmax(x);
  if (c.opset < 13) {
    // Before opset 13 the axes from `axis` on were taken as one.
    const rows = c.b.reshape(x, [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis))]);
    return c.b.reshape(c.b.softmax(rows), x.shape);
  }
  const perm = x.shape.map((_, i) => (i === axis ? rank - 1 : i === rank - 1 ? axis : i));
  return c.b.transpose(c.b.softmax(c.b.transpose(x, perm)), perm);
};

const matmul: Operator = (c) => {
  const [a, b] = [c.input(0), c.input(1)];
  if (a.shape.length === 0 || b.shape.length === 0) throw new InputError('a matrix product of scalars');
  const left = a.shape.length === 1 ? c.b.reshape(a, [1, ...a.shape]) : a;
  const right = b.shape.length === 1 ? c.b.reshape(b, [...b.shape, 1]) : b;
  const product = c.b.matmul(left, right);
  const shape = [...product.shape];
  if (b.shape.length === 1) shape.pop();
  if (a.shape.length === 1) shape.splice(b.shape.length === 1 ? -1 : -2, 1);
  return c.b.reshape(product, shape);
};

const gemm: Operator = (c) => {
  const orient = (x: Expr, name: string): Expr => (c.int(name, 0) === 1 ? c.b.transpose(x, [1, 0]) : x);
  const product = c.b.matmul(orient(c.input(0), 'transA'), orient(c.input(1), 'transB'));
  const scaled = c.b.mul(product, c.b.scalar(c.float('alpha', 1)));
  return c.has(2) ? c.b.add(scaled, c.b.mul(c.input(2), c.b.scalar(c.float('beta', 1)))) : scaled;
};

/** Operators that compute. */
export const arithmeticOperators: Readonly<Record<string, Operator>> = {
  Add: (c) => c.b.add(c.input(0), c.input(1)),
  Sum: (c) => c.inputs.map((_, i) => c.input(i)).reduce((a, b) => c.b.add(a, b)),
  Mean(c) {
    const sum = c.inputs.map((_, i) => c.input(i)).reduce((a, b) => c.b.add(a, b));
    return c.b.mul(sum, c.b.scalar(1 / c.inputs.length));
  },
  Sub: (c) => c.b.sub(c.input(0), c.input(1)),
  Mul: (c) => c.b.mul(c.input(0), c.input(1)),
  Div: div,
  Neg(c) {
    const x = c.input(0);
    return isConstant(x) ? c.b.fold([x.value], (v) => -v) : c.b.mul(x, c.b.scalar(-1));
  },
  Pow: pow,
  Max: extremum('max'),
  Min: extremum('min'),
  Clip: clip,
  Abs: scalarOperator('abs'),
  Sqrt: scalarOperator('sqrt'),
  Reciprocal: scalarOperator('reciprocal'),
  Exp: scalarOperator('exp'),
  Log: scalarOperator('log'),
  Erf: scalarOperator('erf'),
  Tanh: scalarOperator('tanh'),
  Sin: scalarOperator('sin'),
  Cos: scalarOperator('cos'),
  Tan: scalarOperator('tan'),
  Asin: scalarOperator('asin'),
  Acos: scalarOperator('acos'),
  Atan: scalarOperator('atan'),
  Sinh: scalarOperator('sinh'),
  Cosh: scalarOperator('cosh'),
  Asinh: scalarOperator('asinh'),
  Acosh: scalarOperator('acosh'),
  Atanh: scalarOperator('atanh'),
  Sign: scalarOperator('sign'),
  Floor: scalarOperator('floor'),
  Ceil: scalarOperator('ceil'),
  Round: scalarOperator('round'),
  Sigmoid: scalarOperator('sigmoid'),
  Relu: scalarOperator('relu'),
  Softmax: softmax,
  LogSoftmax: (c) => c.b.scalarOp('log', softmax(c) as Expr),
  MatMul: matmul,
  Gemm: gemm,
  Einsum: einsum,
};
