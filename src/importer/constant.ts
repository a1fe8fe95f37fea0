import { sizeOf } from '../graph/layout.js';
import type { TensorKind } from '../onnx/index.js';

/** Floats lie in Float32Array (or Float64Array while folding), integers and booleans in Float64Array. */
export type ConstantData = Float32Array | Float64Array;

/** A tensor known when the model is imported. Its data may still lie in the file until it is asked for. */
export class Constant {
  readonly shape: readonly number[];
  readonly kind: TensorKind;
  /** The initializer's name where it is one. */
  readonly name: string;
  readonly #load: () => ConstantData;
  /** Kept, as the question reads all data. */
  #uniform: number | null | undefined;

  constructor(shape: readonly number[], kind: TensorKind, load: () => ConstantData, name = '') {
    this.shape = shape;
    this.kind = kind;
    this.name = name;
    this.#load = load;
  }

  static of(shape: readonly number[], kind: TensorKind, data: ConstantData, name = ''): Constant {
    return new Constant(shape, kind, () => data, name);
  }

  static scalar(value: number, kind: TensorKind = 'float'): Constant {
    return Constant.of([], kind, Float64Array.of(value));
  }

  static integers(values: readonly number[]): Constant {
    return Constant.of([values.length], 'int', Float64Array.from(values));
  }

  /** The transpose of a matrix, made when its data is asked for; transposing twice gives back the first. */
  static transposeOf(matrix: Constant): Constant {
    if (matrix.transposed) return matrix.transposed;
    const [rows, cols] = matrix.shape;
    const out = new Constant([cols, rows], matrix.kind, () => transposeMatrix(matrix.data, rows, cols), matrix.name);
    out.transposed = matrix;
    return out;
  }

  /** The matrix that this one is the transpose of, where it was made as such. */
  transposed: Constant | null = null;

  get size(): number {
    return sizeOf(this.shape);
  }

  /** The elements, row-major. Large weights are read anew each time: keep the result while it is needed. */
  get data(): ConstantData {
    return this.#load();
  }

  reshaped(shape: readonly number[]): Constant {
    return new Constant(shape, this.kind, this.#load, this.name);
  }

  /** The value all elements share, or null. */
  get uniform(): number | null {
    if (this.#uniform === undefined) {
      const data = this.data;
      this.#uniform = data.length > 0 && data.every((v) => v === data[0]) ? data[0] : null;
    }
    return this.#uniform;
  }
}

/** Transposes in blocks that fit the cache. */
export function transposeMatrix(data: ConstantData, rows: number, cols: number): ConstantData {
  const out = data instanceof Float32Array ? new Float32Array(data.length) : new Float64Array(data.length);
  const block = 32;
  for (let i0 = 0; i0 < rows; i0 += block)
    for (let j0 = 0; j0 < cols; j0 += block) {
      const i1 = Math.min(rows, i0 + block);
      const j1 = Math.min(cols, j0 + block);
      for (let j = j0; j < j1; j++) for (let i = i0; i < i1; i++) out[j * rows + i] = data[i * cols + j];
    }
  return out;
}

/** The shape that two shapes broadcast to (numpy's rule), or null where they do not fit. */
export function broadcastShape(a: readonly number[], b: readonly number[]): number[] | null {
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let i = 0; i < rank; i++) {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) return null;
    out[i] = x === 1 ? y : x;
  }
  return out;
}

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((dim, i) => dim === b[i]);

/** For each element of `to`, row-major, the position it has in a tensor of shape `from` that is broadcast to it. */
export function broadcastIndex(from: readonly number[], to: readonly number[]): Int32Array {
  const index = new Int32Array(sizeOf(to));
  const lead = to.length - from.length;
  let filled = 1;
  // Built from the innermost axis outwards: what is filled so far is repeated along the next axis.
  let stride = 1;
  for (let axis = to.length - 1; axis >= 0; axis--) {
    const dim = axis >= lead ? from[axis - lead] : 1;
    const step = dim === 1 ? 0 : stride;
    for (let k = 1; k < to[axis]; k++) for (let i = 0; i < filled; i++) index[k * filled + i] = index[i] + k * step;
    filled *= to[axis];
    stride *= dim;
  }
  return index;
}

/** A constant's elements spread over a larger shape. */
export function broadcastData(constant: Constant, shape: readonly number[]): ConstantData {
  const data = constant.data;
  if (sameShape(constant.shape, shape)) return data;
  const size = sizeOf(shape);
  if (data.length === 1) return new Float64Array(size).fill(data[0]);
  const index = broadcastIndex(constant.shape, shape);
  const out = data instanceof Float32Array ? new Float32Array(size) : new Float64Array(size);
  for (let i = 0; i < size; i++) out[i] = data[index[i]];
  return out;
}

/**
 * Applies a scalar function to constants element by element, broadcasting. The first float operand decides the kind.
 */
export function mapConstants(
  inputs: readonly Constant[],
  shape: readonly number[],
  kind: TensorKind,
  f: (...values: number[]) => number,
): Constant {
  const size = sizeOf(shape);
  const out = kind === 'float' && size > 1 ? new Float32Array(size) : new Float64Array(size);
  const data = inputs.map((input) => input.data);
  const indices = inputs.map((input) =>
    sameShape(input.shape, shape) ? null : input.size === 1 ? 'first' : broadcastIndex(input.shape, shape),
  );
  const at = (k: number, i: number): number => {
    const index = indices[k];
    return data[k][index === null ? i : index === 'first' ? 0 : index[i]];
  };
  if (inputs.length === 1) for (let i = 0; i < size; i++) out[i] = f(at(0, i));
  else if (inputs.length === 2) for (let i = 0; i < size; i++) out[i] = f(at(0, i), at(1, i));
  else for (let i = 0; i < size; i++) out[i] = f(...inputs.map((_, k) => at(k, i)));
  const named = inputs.find((input) => input.name !== '');
  return Constant.of(shape, kind, out, named?.name ?? '');
}

export { sizeOf };
