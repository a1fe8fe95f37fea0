import { elementCount } from '../../onnx/index.js';
import { Constant, sizeOf } from '../constant.js';
import { isConstant, type Expr } from '../expr.js';
import { MAX_MADE } from '../limits.js';
import type { ExprBuilder } from '../expr-builder.js';
import type { Operator, OperatorContext } from '../operator.js';
import { Unsupported } from '../problems.js';
import { mixture, type AxisTaps } from './mixture.js';

interface ResizeOptions {
  readonly mode: string;
  readonly coordinates: string;
  readonly cubic: number;
  readonly nearest: string;
  readonly antialias: boolean;
  readonly excludeOutside: boolean;
  /** Where the model gives factors, not sizes: coordinates follow from them, not from the rounded sizes. */
  readonly scales: readonly number[] | null;
}

const resize: Operator = (c) => {
  const x = c.input(0);
  const scales = givenScales(c);
  const target = c.has(3) ? c.integers(3) : scales!;
  const axes = c.intsOr('axes', null)?.map((axis) => c.axis(axis, x.shape.length)) ?? [...x.shape.keys()];
  const along = (values: readonly number[], axis: number): number | undefined => values[axes.indexOf(axis)];
  const sizes = x.shape.map((dim, axis) =>
    c.has(3) ? (along(target, axis) ?? dim) : Math.floor(dim * (along(target, axis) ?? 1)),
  );
  if (sizes.every((dim, axis) => dim === x.shape[axis])) return x;
  c.b.budget.make(elementCount(sizes, 'a resized tensor', MAX_MADE));
  const options = {
    mode:
      c.node.opType === 'Upsample' && c.text('mode', 'nearest') === 'bilinear' ? 'linear' : c.text('mode', 'nearest'),
    // Before version 11 there was one way.
    coordinates: c.opset < 11 ? 'asymmetric' : c.text('coordinate_transformation_mode', 'half_pixel'),
    cubic: c.float('cubic_coeff_a', -0.75),
    nearest: c.opset < 11 ? 'floor' : c.text('nearest_mode', 'round_prefer_floor'),
    antialias: c.int('antialias', 0) === 1,
    excludeOutside: c.int('exclude_outside', 0) === 1,
    scales: c.has(3) ? null : x.shape.map((_, axis) => along(target, axis) ?? 1),
  };
  return isConstant(x) ? c.b.constant(resizeConstant(x.value, sizes, options)) : resizeMap(c.b, x, sizes, options);
};

/** Factors by axis, as the operator's versions give them. */
function givenScales(c: OperatorContext): number[] | null {
  if (c.has(3)) return null;
  const scales = c.node.opType === 'Upsample' || c.opset < 11 ? 1 : 2;
  return c.has(scales) ? Array.from(c.constant(scales).data) : c.floatsOr('scales', []);
}

/** A tensor of activations: nearest pixels are gathered, others are sums of pixels. */
function resizeMap(b: ExprBuilder, x: Expr, sizes: readonly number[], options: ResizeOptions): Expr {
  const changed = [...sizes.keys()].filter((axis) => sizes[axis] !== x.shape[axis]);
  const taps = new Map(changed.map((axis) => [axis, tapsAlong(axis, x.shape, sizes, options)]));
  if (options.mode === 'nearest')
    return b.take(
      x,
      sizes.map((_, axis) => taps.get(axis)?.map(([[position]]) => position) ?? null),
    );
  if (x.shape.length === 4 && changed.every((axis) => axis >= 2))
    return mixture(b, x, [taps.get(2) ?? null, taps.get(3) ?? null]);
  // Any other axis by itself, as the height of a map.
  return changed.reduce((y, axis) => {
    const before = sizeOf(y.shape.slice(0, axis));
    const after = sizeOf(y.shape.slice(axis + 1));
    const map = b.transpose(b.reshape(y, [before, y.shape[axis], 1, after]), [0, 3, 1, 2]);
    const mixed = b.transpose(mixture(b, map, [taps.get(axis)!, null]), [0, 2, 3, 1]);
    return b.reshape(
      mixed,
      y.shape.map((dim, k) => (k === axis ? sizes[axis] : dim)),
    );
  }, x);
}

const tapsAlong = (
  axis: number,
  shape: readonly number[],
  sizes: readonly number[],
  options: ResizeOptions,
): AxisTaps => {
  const scale = options.scales?.[axis] ?? sizes[axis] / shape[axis];
  return axisWeights(shape[axis], sizes[axis], scale, options);
};

/** ONNX Resize of a constant (position embeddings), one axis after the other. */
function resizeConstant(x: Constant, sizes: readonly number[], options: ResizeOptions): Constant {
  let data = Float64Array.from(x.data);
  const shape = [...x.shape];
  for (let axis = 0; axis < shape.length; axis++) {
    if (sizes[axis] === shape[axis]) continue;
    const weights = tapsAlong(axis, shape, sizes, options);
    const inner = sizeOf(shape.slice(axis + 1));
    const outer = sizeOf(shape.slice(0, axis));
    const out = new Float64Array(outer * sizes[axis] * inner);
    for (let o = 0; o < outer; o++)
      weights.forEach((taps, i) => {
        for (const [from, weight] of taps)
          for (let j = 0; j < inner; j++)
            out[(o * sizes[axis] + i) * inner + j] += weight * data[(o * shape[axis] + from) * inner + j];
      });
    data = out;
    shape[axis] = sizes[axis];
  }
  return Constant.of(shape, x.kind, data, x.name);
}

/** For each position along the resized axis: which source positions count, and how much. */
function axisWeights(from: number, to: number, scale: number, options: ResizeOptions): [number, number][][] {
  return Array.from({ length: to }, (_, i) => {
    const at = sourceCoordinate(i, from, to, scale, options.coordinates);
    if (options.mode === 'nearest') return [[clamp(nearest(at, options.nearest), from), 1]];
    const reach = options.mode === 'cubic' ? 2 : 1;
    const stretch = options.antialias ? Math.max(1, 1 / scale) : 1;
    const taps: [number, number][] = [];
    let total = 0;
    for (
      let k = Math.floor(at - reach * stretch) + 1;
      k <= Math.ceil(at + reach * stretch) - 1 || taps.length === 0;
      k++
    ) {
      const distance = (k - at) / stretch;
      const weight = options.mode === 'cubic' ? cubic(distance, options.cubic) : Math.max(0, 1 - Math.abs(distance));
      if (options.excludeOutside && (k < 0 || k >= from)) continue;
      taps.push([clamp(k, from), weight]);
      total += weight;
    }
    return taps.map(([position, weight]) => [position, weight / total]);
  });
}

const clamp = (at: number, length: number): number => Math.min(length - 1, Math.max(0, at));

function sourceCoordinate(i: number, from: number, to: number, scale: number, mode: string): number {
  switch (mode) {
    case 'half_pixel':
      return (i + 0.5) / scale - 0.5;
    case 'pytorch_half_pixel':
      return to > 1 ? (i + 0.5) / scale - 0.5 : 0;
    case 'align_corners':
      return to > 1 ? (i * (from - 1)) / (to - 1) : 0;
    case 'asymmetric':
      return i / scale;
    default:
      throw new Unsupported(`resizing with ${mode} coordinates`, 'export at the image size the model was made for');
  }
}

function nearest(at: number, mode: string): number {
  switch (mode) {
    case 'floor':
      return Math.floor(at);
    case 'ceil':
      return Math.ceil(at);
    case 'round_prefer_ceil':
      return Math.floor(at + 0.5);
    default:
      return Math.ceil(at - 0.5);
  }
}

/** Keys' cubic convolution kernel. */
export function cubic(distance: number, a: number): number {
  const x = Math.abs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

/** Resizing of maps and of constants. */
export const resizeOperators: Readonly<Record<string, Operator>> = { Resize: resize, Upsample: resize };
