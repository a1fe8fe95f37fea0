import { dataTypeKind, dataTypeName, elementCount } from '../../onnx/index.js';
import { Constant, sizeOf } from '../constant.js';
import { isConstant, isTruth, type Expr } from '../expr.js';
import { MAX_MADE } from '../limits.js';
import type { Operator, OperatorContext } from '../operator.js';
import { Unsupported } from '../problems.js';

/** Counts the elements of a constant before it is made. */
function made(c: OperatorContext, dims: readonly number[], what: string): number {
  const count = elementCount(dims, what, MAX_MADE);
  c.b.budget.make(count);
  return count;
}

const shape: Operator = (c) => {
  const rank = c.input(0).shape.length;
  const clamp = (at: number): number => Math.min(rank, Math.max(0, at < 0 ? at + rank : at));
  const dims = c.input(0).shape.slice(clamp(c.int('start', 0)), clamp(c.int('end', rank)));
  return c.b.constant(Constant.integers(dims));
};

const size: Operator = (c) => c.b.constant(Constant.scalar(sizeOf(c.input(0).shape), 'int'));

const constant: Operator = (c) => {
  const tensor = c.tensor('value');
  if (tensor) return c.b.constant(tensor);
  const numbers = c.floatsOr('value_floats', null);
  if (numbers) return c.b.constant(Constant.of([numbers.length], 'float', Float64Array.from(numbers)));
  const integers = c.intsOr('value_ints', null);
  if (integers) return c.b.constant(Constant.integers(integers));
  if (c.node.attributes.has('value_float')) return c.b.constant(Constant.scalar(c.float('value_float', 0)));
  if (c.node.attributes.has('value_int')) return c.b.constant(Constant.scalar(c.int('value_int', 0), 'int'));
  throw new Unsupported('the constant holds no numbers', 'export the model with dense numeric constants');
};

const constantOfShape: Operator = (c) => {
  const dims = c.integers(0);
  const value = c.tensor('value');
  const count = made(c, dims, 'a constant');
  const data = new Float64Array(count).fill(value ? value.data[0] : 0);
  return c.b.constant(Constant.of(dims, value?.kind ?? 'float', data));
};

const rangeOperator: Operator = (c) => {
  const [start, limit, delta] = [c.constant(0).data[0], c.constant(1).data[0], c.constant(2).data[0]];
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  made(c, [count], 'a range');
  const data = Float64Array.from({ length: count }, (_, i) => start + i * delta);
  return c.b.constant(Constant.of([count], c.constant(0).kind, data));
};

/** Casts among floats change nothing here: the model is computed in float32. */
function castTo(c: Parameters<Operator>[0], kind: Constant['kind'] | undefined, target: string): Expr {
  const x = c.input(0);
  if (!kind) throw new Unsupported(`a cast to ${target}`, 'export the model in float32');
  if (isConstant(x)) {
    if (x.value.kind === kind) return x;
    const convert = kind === 'bool' ? (v: number) => Number(v !== 0) : kind === 'int' ? Math.trunc : (v: number) => v;
    return c.b.fold([x.value], convert, kind);
  }
  if (kind === 'bool')
    return isTruth(x) ? x : c.b.compare('equal', c.b.compare('equal', x, c.b.scalar(0)), c.b.scalar(0));
  if (kind !== 'float' && !isTruth(x))
    throw new Unsupported('activations are cast to integers', 'export the float model, not a quantized one');
  return x;
}

const cast: Operator = (c) => castTo(c, dataTypeKind(c.int('to', 1)), dataTypeName(c.int('to', 1)));

const castLike: Operator = (c) => {
  const like = c.input(1);
  return castTo(c, isConstant(like) ? like.value.kind : 'float', 'the type of a tensor');
};

type Kind = Constant['kind'] | 'same';

/** An operator on constants alone: comparisons, logic, integer arithmetic. */
const onConstants =
  (kind: Kind, f: (...values: number[]) => number): Operator =>
  (c) => {
    const inputs = c.inputs.map((_, i) => c.constant(i));
    return kind === 'same' ? c.b.fold(inputs, f) : c.b.fold(inputs, f, kind);
  };

const mod: Operator = (c) =>
  c.int('fmod', 0) === 1
    ? onConstants('same', (a, b) => a % b)(c)
    : onConstants('same', (a, b) => a - Math.floor(a / b) * b)(c);

/** No activation of a finite model on a finite image is NaN; exporters ask to guard rows that a mask hides entirely. */
const isNaNOperator: Operator = (c) => {
  const x = c.input(0);
  if (isConstant(x)) return c.b.fold([x.value], (v) => Number(Number.isNaN(v)), 'bool');
  return c.b.constant(
    Constant.of(
      x.shape.map(() => 1),
      'bool',
      Float64Array.of(0),
    ),
  );
};

const oneHot: Operator = (c) => {
  const [indices, depth, values] = [c.constant(0), c.constant(1).data[0], c.constant(2).data];
  const rank = indices.shape.length;
  const axis = c.axis(c.int('axis', -1), rank + 1);
  const out = new Float64Array(made(c, [...indices.shape, depth], 'a one-hot tensor')).fill(values[0]);
  indices.data.forEach((at, i) => {
    if (at >= -depth && at < depth) out[i * depth + (at < 0 ? at + depth : at)] = values[1];
  });
  const last = c.b.constant(Constant.of([...indices.shape, depth], c.constant(2).kind, out));
  const order = Array.from({ length: rank }, (_, i) => i);
  return c.b.transpose(last, [...order.slice(0, axis), rank, ...order.slice(axis)]);
};

/** Each element with all before it along an axis, itself included unless `exclusive`; from the end where `reverse`. */
const cumulative =
  (start: number, f: (sum: number, x: number) => number): Operator =>
  (c) => {
    const x = c.constant(0);
    c.b.budget.make(x.size);
    const axis = c.axis(c.constant(1).data[0], x.shape.length);
    const [length, stride] = [x.shape[axis], sizeOf(x.shape.slice(axis + 1))];
    const [isExclusive, isReverse] = [c.int('exclusive', 0) === 1, c.int('reverse', 0) === 1];
    const out = Float64Array.from(x.data);
    const from = x.data;
    for (let i = 0; i < out.length; i++) {
      if (Math.floor(i / stride) % length !== 0) continue;
      let sum = start;
      for (let k = 0; k < length; k++) {
        const at = i + (isReverse ? length - 1 - k : k) * stride;
        const next = f(sum, from[at]);
        out[at] = isExclusive ? sum : next;
        sum = next;
      }
    }
    return c.b.constant(Constant.of(x.shape, x.kind, out));
  };

const trilu: Operator = (c) => {
  const x = c.constant(0);
  c.b.budget.make(x.size);
  const [rows, cols] = x.shape.slice(-2);
  const upper = c.int('upper', 1) === 1;
  const k = c.has(1) ? c.constant(1).data[0] : 0;
  const keep = (i: number): boolean => {
    const distance = (i % cols) - (Math.floor(i / cols) % rows);
    return upper ? distance >= k : distance <= k;
  };
  return c.b.constant(
    Constant.of(
      x.shape,
      x.kind,
      Float64Array.from(x.data, (v, i) => (keep(i) ? v : 0)),
    ),
  );
};

const eyeLike: Operator = (c) => {
  const [rows, cols] = c.input(0).shape;
  const out = new Float64Array(made(c, [rows, cols], 'a unit matrix'));
  const k = c.int('k', 0);
  for (let i = 0; i < rows; i++) if (i + k >= 0 && i + k < cols) out[i * cols + i + k] = 1;
  const given = c.node.attributes.has('dtype') ? dataTypeKind(c.int('dtype', 1)) : undefined;
  return c.b.constant(Constant.of([rows, cols], given ?? 'float', out));
};

/** Where along an axis the largest or smallest of constants is. */
const place =
  (isBetter: (a: number, b: number) => boolean): Operator =>
  (c) => {
    const x = c.constant(0);
    c.b.budget.make(x.size);
    const axis = c.axis(c.int('axis', 0), x.shape.length);
    const [length, stride] = [x.shape[axis], sizeOf(x.shape.slice(axis + 1))];
    const isLast = c.int('select_last_index', 0) === 1;
    const kept = x.shape.map((dim, at) => (at === axis ? 1 : dim));
    const data = x.data;
    const out = Float64Array.from({ length: sizeOf(kept) }, (_, i) => {
      const first = Math.floor(i / stride) * stride * length + (i % stride);
      let best = 0;
      for (let k = 1; k < length; k++) {
        const [a, b] = [data[first + k * stride], data[first + best * stride]];
        if (isBetter(a, b) || (isLast && a === b)) best = k;
      }
      return best;
    });
    const shape = c.int('keepdims', 1) === 1 ? kept : kept.filter((_, at) => at !== axis);
    return c.b.constant(Constant.of(shape, 'int', out));
  };

/** Of integers that fit 53 bits, by their bits. */
const onBits =
  (f: (a: bigint, b: bigint) => bigint): Operator =>
  (c) => {
    const inputs = c.inputs.map((_, i) => c.constant(i));
    return c.b.fold(inputs, (a, b = 0) => Number(f(BigInt(a), BigInt(b))));
  };

const nonZero: Operator = (c) => {
  const x = c.constant(0);
  made(c, [x.size, Math.max(1, x.shape.length)], 'a list of places');
  const at = Array.from(x.data.keys()).filter((i) => x.data[i] !== 0);
  const rows = x.shape.map((dim, axis) => at.map((i) => Math.floor(i / sizeOf(x.shape.slice(axis + 1))) % dim));
  return c.b.constant(Constant.of([x.shape.length, at.length], 'int', Float64Array.from(rows.flat())));
};

const ifOperator: Operator = (c) => {
  const condition = c.constant(0).data[0];
  const branch = condition !== 0 ? 'then_branch' : 'else_branch';
  return c.services.subgraph(c.graph(branch));
};

/** Shape arithmetic: operators whose inputs must be known when the model is imported. */
export const constantOperators: Readonly<Record<string, Operator>> = {
  Shape: shape,
  Size: size,
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Range: rangeOperator,
  Cast: cast,
  CastLike: castLike,
  Mod: mod,
  IsInf: onConstants('bool', (a) => Number(Math.abs(a) === Infinity)),
  IsNaN: isNaNOperator,
  OneHot: oneHot,
  CumSum: cumulative(0, (sum, x) => sum + x),
  CumProd: cumulative(1, (product, x) => product * x),
  EyeLike: eyeLike,
  ArgMax: place((a, b) => a > b),
  ArgMin: place((a, b) => a < b),
  BitwiseAnd: onBits((a, b) => a & b),
  BitwiseOr: onBits((a, b) => a | b),
  BitwiseXor: onBits((a, b) => a ^ b),
  BitwiseNot: onBits((a) => ~a),
  Trilu: trilu,
  NonZero: nonZero,
  If: ifOperator,
};
