import { InputError } from '../errors.js';
import { windowCount, type Geometry } from '../graph/geometry.js';
import {
  coarsen,
  compose,
  concatenate,
  identityLayout,
  isIdentity,
  permute,
  take,
  type Layout,
} from '../graph/layout.js';
import { applyBinary, type BinaryOp } from '../graph/formula.js';
import { scalarFunctions, type ScalarOp } from '../graph/scalar.js';
import { elementCount, type OnnxNode } from '../onnx/index.js';
import { broadcastShape, Constant, mapConstants, sameShape, sizeOf } from './constant.js';
import {
  isConstant,
  isOperation,
  scalarValue,
  type Attributes,
  type ConstantExpr,
  type Expr,
  type ImageExpr,
  type Mix,
  type Operation,
  type OperationExpr,
  type SequenceExpr,
} from './expr.js';
import { ImportBudget, MAX_ELEMENTS, MAX_FOLDED } from './limits.js';
import { multiply, reduceConstant, resultKind, softmaxRows, viewConstants } from './fold.js';

/** Higher powers are taken by logarithms. */
const MAX_POWER = 8;

/** What exporters write for no bound: the largest float32, or infinity. */
const FLOAT_MAX = 3.4e38;

type ConvAttributes = Required<Pick<Attributes, 'strides' | 'pads' | 'dilations'>> & Pick<Attributes, 'group'>;

/**
 * Builds expressions in normal form: constants are folded, views of views become one, neutral elements vanish. Shapes
 * are checked as they are inferred.
 */
export class ExprBuilder {
  /** The ONNX node being translated: what new expressions say they come from. */
  origin: OnnxNode | null = null;
  /** The file's fixed batch, whose images are told apart afterwards; 1: there is one image. */
  batch = 1;
  /** What making constants may still cost. */
  readonly budget = new ImportBudget();

  constant(value: Constant): ConstantExpr {
    return { op: 'constant', shape: value.shape, origin: this.origin, tensor: '', value };
  }

  scalar(value: number): ConstantExpr {
    return this.constant(Constant.scalar(value));
  }

  image(shape: readonly number[]): ImageExpr {
    elementCount(shape, 'the image', MAX_ELEMENTS);
    return { op: 'image', shape, origin: null, tensor: '' };
  }

  add(a: Expr, b: Expr): Expr {
    [a, b] = this.#operands(a, b);
    if (isConstant(a) && isConstant(b)) return this.fold([a.value, b.value], (x, y) => x + y);
    if (isConstant(a)) [a, b] = [b, a];
    if (isConstant(b)) {
      if (this.#isNeutral(a, b, 0)) return a;
      if (isOperation(a, 'add') && isConstant(a.inputs[1]) && !this.#grows(a.inputs[0], a.inputs[1], b))
        return this.add(a.inputs[0], this.add(a.inputs[1], b));
    }
    return this.#elementwise('add', [a, b]);
  }

  mul(a: Expr, b: Expr): Expr {
    [a, b] = this.#operands(a, b);
    if (isConstant(a) && isConstant(b)) return this.fold([a.value, b.value], (x, y) => x * y);
    if (isConstant(a)) [a, b] = [b, a];
    if (isConstant(b)) {
      if (this.#isNeutral(a, b, 1)) return a;
      if (isOperation(a, 'mul') && isConstant(a.inputs[1]) && !this.#grows(a.inputs[0], a.inputs[1], b))
        return this.mul(a.inputs[0], this.mul(a.inputs[1], b));
    }
    return this.#elementwise('mul', [a, b]);
  }

  sub(a: Expr, b: Expr): Expr {
    // Differences of integers are integers.
    if (isConstant(a) && isConstant(b)) return this.fold([a.value, b.value], (x, y) => x - y);
    return this.add(a, this.mul(b, this.scalar(-1)));
  }

  /** Division of floats. */
  div(a: Expr, b: Expr): Expr {
    if (isConstant(a) && isConstant(b)) return this.fold([a.value, b.value], (x, y) => x / y);
    return this.mul(a, this.scalarOp('reciprocal', b));
  }

  extremum(op: 'max' | 'min', a: Expr, b: Expr): Expr {
    [a, b] = this.#operands(a, b);
    if (isConstant(a) && isConstant(b)) return this.fold([a.value, b.value], Math[op]);
    if (isConstant(a)) [a, b] = [b, a];
    const bound = scalarValue(b);
    if (op === 'max' && bound === 0) return this.scalarOp('relu', a);
    const isOpen = bound !== null && (op === 'max' ? bound <= -FLOAT_MAX : bound >= FLOAT_MAX);
    if (isOpen && sameShape(this.#broadcast(a.shape, b.shape), a.shape)) return a;
    return this.#elementwise(op, [a, b]);
  }

  /** 1 where the comparison holds, else 0. */
  compare(op: 'greater' | 'greaterOrEqual' | 'equal', a: Expr, b: Expr): Expr {
    [a, b] = this.#operands(a, b);
    if (isConstant(a) && isConstant(b)) return this.fold([a.value, b.value], (x, y) => applyBinary(op, x, y), 'bool');
    return this.#elementwise(op, [a, b]);
  }

  /** `a` where the condition is not 0, else `b`. */
  where(condition: Expr, a: Expr, b: Expr): Expr {
    const shape = [a, b].reduce((all, { shape: own }) => this.#broadcast(all, own), condition.shape);
    return this.#operation('where', shape, [condition, a, b]);
  }

  sequence(parts: readonly Expr[]): SequenceExpr {
    return { op: 'sequence', shape: [], origin: this.origin, tensor: '', parts };
  }

  scalarOp(op: ScalarOp, x: Expr): Expr {
    if (isConstant(x)) return this.fold([x.value], scalarFunctions[op]);
    if (op === 'exp' && isOperation(x, 'log')) return x.inputs[0];
    // Repeated afterwards, so that the product or sum it goes into can do without.
    if (x.op === 'view' && x.broadcastOf) return this.expand(this.scalarOp(op, x.broadcastOf), x.shape);
    return this.#operation(op, x.shape, [x]);
  }

  /** x to a constant power, in products, roots and reciprocals. */
  power(x: Expr, exponent: number): Expr {
    if (isConstant(x)) return this.fold([x.value], (value) => value ** exponent);
    switch (exponent) {
      case 1:
        return x;
      case 2:
        return this.mul(x, x);
      case 3:
        return this.mul(this.mul(x, x), x);
      case 0.5:
        return this.scalarOp('sqrt', x);
      case -1:
        return this.scalarOp('reciprocal', x);
      case -0.5:
        return this.scalarOp('reciprocal', this.scalarOp('sqrt', x));
      default:
        if (Number.isInteger(exponent) && exponent > 3 && exponent <= MAX_POWER)
          return this.mul(this.power(x, exponent - 1), x);
        return this.scalarOp('exp', this.mul(this.scalarOp('log', x), this.scalar(exponent)));
    }
  }

  fold(inputs: readonly Constant[], f: (...values: number[]) => number, kind = resultKind(inputs)): ConstantExpr {
    let shape: readonly number[] = inputs[0].shape;
    for (const input of inputs.slice(1)) shape = this.#broadcast(shape, input.shape);
    this.budget.make(elementCount(shape, 'a constant', MAX_FOLDED));
    return this.constant(mapConstants(inputs, shape, kind, f));
  }

  matmul(a: Expr, b: Expr): Expr {
    const [n, k] = [a.shape.at(-2)!, a.shape.at(-1)!];
    const [l, m] = [b.shape.at(-2)!, b.shape.at(-1)!];
    if (k !== l) throw shapeError('cannot be multiplied', a.shape, b.shape);
    const batch = this.#broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
    elementCount([...batch, n, m], 'a product', isConstant(a) && isConstant(b) ? MAX_FOLDED : MAX_ELEMENTS);
    if (isConstant(a) && isConstant(b)) {
      this.budget.make(sizeOf([...batch, n, m]));
      this.budget.multiply(sizeOf([...batch, n, k, m]));
      return this.constant(multiply(a.value, b.value, batch, [n, k, m]));
    }
    return this.#operation('matmul', [...batch, n, m], [a, b]);
  }

  softmax(x: Expr): Expr {
    if (isConstant(x)) {
      this.budget.make(x.value.size);
      return this.constant(softmaxRows(x.value));
    }
    return this.#operation('softmax', x.shape, [x]);
  }

  normalize(x: Expr, epsilon: number): Expr {
    if (isConstant(x)) {
      const centred = this.sub(x, this.reduce('mean', x, [x.shape.length - 1]));
      const variance = this.reduce('mean', this.mul(centred, centred), [x.shape.length - 1]);
      return this.mul(centred, this.power(this.add(variance, this.scalar(epsilon)), -0.5));
    }
    return this.#operation('normalize', x.shape, [x], { epsilon });
  }

  /** Mean or sum along axes, which stay with length 1. */
  reduce(op: 'mean' | 'sum', x: Expr, axes: readonly number[]): Expr {
    const shape = x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
    if (isConstant(x)) {
      this.budget.make(x.value.size);
      return this.constant(reduceConstant(op, x.value, axes, shape));
    }
    if (sameShape(shape, x.shape)) return x;
    return this.#operation(op, shape, [x], { axes: [...axes].sort((a, b) => a - b) });
  }

  /** Largest along axes, which stay with length 1. */
  maximum(x: Expr, axes: readonly number[]): Expr {
    const shape = x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
    if (sameShape(shape, x.shape)) return x;
    return this.#operation('maximum', shape, [x], { axes: [...axes].sort((a, b) => a - b) });
  }

  /** A convolution of a map [1, channels, height, width] with filters [N, channels/group, kernel height, width]. */
  conv(image: Expr, weight: Expr, attributes: ConvAttributes): Expr {
    const { strides, pads, dilations, group = 1 } = attributes;
    const [filters, channels, ...kernel] = weight.shape;
    if (image.shape.length !== 4 || weight.shape.length !== 4)
      throw new InputError(`a convolution over ${image.shape.length - 2} axes; at most two are supported`);
    if (image.shape[1] !== channels * group || filters % group !== 0)
      throw new InputError(
        `the convolution expects ${channels * group} channels in ${group} groups but its input has ${image.shape[1]}`,
      );
    const size = kernel.map((k, i) => {
      const padded = image.shape[2 + i] + pads[i] + pads[i + 2];
      return Math.floor((padded - dilations[i] * (k - 1) - 1) / strides[i]) + 1;
    });
    if (size.some((dim) => dim < 1))
      throw new InputError(
        `an image of ${image.shape[2]}×${image.shape[3]} is smaller than the kernel ${kernel.join('×')}`,
      );
    return this.#operation('conv', [image.shape[0], filters, ...size], [image, weight], attributes);
  }

  /** The largest of every window of pixels [H·W, C], as [windows, C]. */
  maxPool(x: Expr, geometry: Geometry): Expr {
    return this.#operation('maxPool', [windowCount(geometry), x.shape[1]], [x], { geometry });
  }

  /** Rows that are weighted sums of the rows of x [R, C]. */
  mixRows(x: Expr, mix: Mix): Expr {
    return this.#operation('mixRows', [mix.index.length / mix.taps, x.shape[1]], [x], { mix });
  }

  reshape(x: Expr, shape: readonly number[]): Expr {
    if (sizeOf(shape) !== sizeOf(x.shape)) throw shapeError('hold different numbers of elements', x.shape, shape);
    if (sameShape(shape, x.shape)) return x;
    if (isConstant(x)) return this.constant(x.value.reshaped(shape));
    return this.view([x], identityLayout(sizeOf(shape)), shape);
  }

  transpose(x: Expr, perm: readonly number[]): Expr {
    if (perm.every((axis, i) => axis === i)) return x;
    if (isConstant(x) && perm.length === 2) return this.constant(Constant.transposeOf(x.value));
    return this.view(
      [x],
      permute(x.shape, perm),
      perm.map((axis) => x.shape[axis]),
    );
  }

  /** Along each axis the listed positions (−1: zeros), null keeping the axis. */
  take(x: Expr, picks: readonly (ArrayLike<number> | null)[]): Expr {
    const shape = x.shape.map((dim, axis) => picks[axis]?.length ?? dim);
    elementCount(shape, 'a tensor', MAX_ELEMENTS);
    if (picks.every((pick, axis) => !pick || (pick.length === x.shape[axis] && isCounting(pick)))) return x;
    return this.view([x], take(x.shape, picks), shape);
  }

  concat(parts: readonly Expr[], axis: number): Expr {
    if (parts.length === 1) return parts[0];
    const [first] = parts;
    for (const part of parts)
      if (part.shape.length !== first.shape.length || part.shape.some((dim, i) => i !== axis && dim !== first.shape[i]))
        throw shapeError('cannot be concatenated', first.shape, part.shape);
    const shape = first.shape.map((dim, i) => (i === axis ? parts.reduce((sum, part) => sum + part.shape[i], 0) : dim));
    this.budget.move(elementCount(shape.slice(0, axis + 1), 'a tensor', MAX_ELEMENTS));
    return this.view(
      parts,
      concatenate(
        parts.map((part) => part.shape),
        axis,
      ),
      shape,
    );
  }

  /** Expand to a shape that `x` broadcasts to. */
  expand(x: Expr, shape: readonly number[]): Expr {
    if (sameShape(x.shape, shape)) return x;
    elementCount(shape, 'a tensor', MAX_ELEMENTS);
    const lead = shape.length - x.shape.length;
    const same = this.reshape(x, [...new Array<number>(lead).fill(1), ...x.shape]);
    const picks = shape.map((dim, i) => (dim === same.shape[i] ? null : new Int32Array(dim)));
    const layout = take(same.shape, picks);
    return this.view([same], layout, shape, same);
  }

  view(sources: readonly Expr[], layout: Layout, shape: readonly number[], broadcastOf: Expr | null = null): Expr {
    const size = elementCount(shape, 'a tensor', MAX_ELEMENTS);
    if (sources.every(isConstant)) {
      this.budget.make(size);
      const values = sources.map((source) => source.value);
      return this.constant(viewConstants(values, layout, shape));
    }
    const flat: Expr[] = [];
    const starts = new Map<Expr, number>();
    let end = 0;
    const start = (source: Expr): number => {
      let at = starts.get(source);
      if (at === undefined) {
        at = end;
        starts.set(source, at);
        flat.push(source);
        end += sizeOf(source.shape);
      }
      return at;
    };
    const parts = sources.map((source) => {
      const inner = source.op === 'view' ? source.sources : [source];
      const sizes = inner.map((s) => sizeOf(s.shape));
      return {
        layout: source.op === 'view' ? source.layout : identityLayout(sizes[0]),
        sizes,
        starts: inner.map(start),
      };
    });
    const composed = coarsen(
      compose(layout, parts),
      flat.map((source) => sizeOf(source.shape)),
    );
    this.budget.move(composed.index.length);
    if (flat.length === 1 && sameShape(flat[0].shape, shape) && isIdentity(composed, end)) return flat[0];
    return { op: 'view', shape, origin: this.origin, tensor: '', sources: flat, layout: composed, broadcastOf };
  }

  /** Explicit repetition is left away where the operation repeats by itself. */
  #operands(a: Expr, b: Expr): [Expr, Expr] {
    const shape = this.#broadcast(a.shape, b.shape);
    if (a.op === 'view' && a.broadcastOf && sameShape(this.#broadcast(a.broadcastOf.shape, b.shape), shape))
      a = a.broadcastOf;
    if (b.op === 'view' && b.broadcastOf && sameShape(this.#broadcast(a.shape, b.broadcastOf.shape), shape))
      b = b.broadcastOf;
    return [a, b];
  }

  #isNeutral(x: Expr, c: ConstantExpr, neutral: number): boolean {
    return (
      sameShape(this.#broadcast(x.shape, c.shape), x.shape) && c.value.size <= 65536 && c.value.uniform === neutral
    );
  }

  /** True where merging two constants would make one that is larger than `x` and both of them. */
  #grows(x: Expr, a: Expr, b: Expr): boolean {
    const size = sizeOf(this.#broadcast(a.shape, b.shape));
    return size > Math.max(sizeOf(a.shape), sizeOf(b.shape)) || !sameShape(this.#broadcast(x.shape, a.shape), x.shape);
  }

  #broadcast(a: readonly number[], b: readonly number[]): readonly number[] {
    const shape = broadcastShape(a, b);
    if (!shape) throw shapeError('do not fit each other', a, b);
    return shape;
  }

  #elementwise(op: BinaryOp, inputs: readonly [Expr, Expr]): OperationExpr {
    return this.#operation(op, this.#broadcast(inputs[0].shape, inputs[1].shape), inputs);
  }

  #operation(
    op: Operation,
    shape: readonly number[],
    inputs: readonly Expr[],
    attributes: Attributes = {},
  ): OperationExpr {
    elementCount(shape, 'a tensor', MAX_ELEMENTS);
    return { op, shape, origin: this.origin, tensor: '', inputs, attributes };
  }
}

const shapeError = (what: string, a: readonly number[], b: readonly number[]): InputError =>
  new InputError(`the shapes [${a.join(', ')}] and [${b.join(', ')}] ${what}`);

const isCounting = (pick: ArrayLike<number>): boolean => {
  for (let i = 0; i < pick.length; i++) if (pick[i] !== i) return false;
  return true;
};
