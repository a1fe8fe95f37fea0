import { InputError } from '../../errors.js';
import { isConstant, type Expr } from '../expr.js';
import type { Operator, OperatorContext } from '../operator.js';
import { constantReduction } from './arithmetic.js';
import { mixture, type AxisTaps } from './mixture.js';
import { asMap, fromPixels, geometryOf, onMap, pairOf, slidingOf, toPixels, type Sliding } from './spatial.js';

const spatialAxes = (x: Expr): number[] => x.shape.map((_, axis) => axis).slice(2);

const globalAveragePool = (c: OperatorContext): Expr => c.b.reduce('mean', c.input(0), spatialAxes(c.input(0)));

const globalMaxPool: Operator = (c) => c.b.maximum(c.input(0), spatialAxes(c.input(0)));

const reduceMax: Operator = (c) => {
  const x = c.input(0);
  if (isConstant(x)) return constantReduction(Math.max)(c);
  const given = c.axes(1, x.shape.length);
  if ((given === null || given.length === 0) && c.int('noop_with_empty_axes', 0) === 1) return x;
  const axes = given && given.length > 0 ? given : x.shape.map((_, axis) => axis);
  const most = c.b.maximum(x, axes);
  return c.int('keepdims', 1) === 1
    ? most
    : c.b.reshape(
        most,
        x.shape.filter((_, axis) => !axes.includes(axis)),
      );
};

/** Windows of a pool, by axis, over a map. */
interface Pool extends Sliding {
  readonly kernel: readonly [number, number];
  readonly size: readonly [number, number];
  readonly outSize: readonly [number, number];
}

/** How many windows there are along each axis; `ceil_mode` adds one that begins before the axis ends. */
function poolOf(c: OperatorContext, x: Expr): Pool {
  const given = c.intsOr('kernel_shape', []);
  const kernel = pairOf(given, 1);
  const sliding = onMap(slidingOf(c, given, x.shape.slice(2)));
  const size = pairOf(x.shape.slice(2), 1);
  const { strides, dilations, pads } = sliding;
  const outSize = [0, 1].map((axis) => {
    const padded = size[axis] + pads[axis] + pads[axis + 2];
    if (!(kernel[axis] >= 1 && kernel[axis] <= padded))
      throw new InputError(`a window of ${kernel[axis]} does not fit an axis of ${padded}`);
    const room = padded - dilations[axis] * (kernel[axis] - 1) - 1;
    const count = (c.int('ceil_mode', 0) === 1 ? Math.ceil : Math.floor)(room / strides[axis]) + 1;
    return (count - 1) * strides[axis] >= size[axis] + pads[axis] ? count - 1 : count;
  });
  return { ...sliding, kernel, size, outSize: [outSize[0], outSize[1]] };
}

/** Drops the axis that `asMap` put in. */
const likeInput = (c: OperatorContext, x: Expr, map: Expr): Expr =>
  x.shape.length === 3 ? c.b.reshape(map, [map.shape[0], map.shape[1], map.shape[3]]) : map;

const averagePool: Operator = (c) => {
  const x = c.input(0);
  const pool = poolOf(c, x);
  const isWhole = [0, 1].every((axis) => pool.kernel[axis] === pool.size[axis] && pool.outSize[axis] === 1);
  if (isWhole && pool.pads.every((pad) => pad === 0)) return globalAveragePool(c);
  const countsPads = c.int('count_include_pad', 0) === 1;
  c.b.budget.make(pool.outSize[0] * pool.kernel[0] + pool.outSize[1] * pool.kernel[1]);
  const taps = [0, 1].map((axis) => averageTaps(pool, axis, countsPads)) as [AxisTaps, AxisTaps];
  return likeInput(c, x, mixture(c.b, asMap(c.b, x), taps));
};

function averageTaps(
  { size, kernel, strides, dilations, pads, outSize }: Pool,
  axis: number,
  countsPads: boolean,
): AxisTaps {
  const [before, length] = [pads[axis], size[axis]];
  return Array.from({ length: outSize[axis] }, (_, i) => {
    const at = Array.from({ length: kernel[axis] }, (_, k) => i * strides[axis] - before + k * dilations[axis]);
    const inside = at.filter((p) => p >= 0 && p < length);
    const counted = countsPads ? at.filter((p) => p < length + pads[axis + 2]).length : inside.length;
    return inside.map((p): [number, number] => [p, 1 / counted]);
  });
}

const maxPool: Operator = (c) => {
  const x = c.input(0);
  const pool = poolOf(c, x);
  const map = asMap(c.b, x);
  const [n, channels] = map.shape;
  // Images of a batch lie below each other, where no window reaches from one into the next.
  const isApart = pool.outSize[0] * pool.strides[0] === pool.size[0] && pool.kernel[0] <= pool.strides[0];
  const together = isApart && pool.pads.every((pad) => pad === 0) ? n : 1;
  const [height, width] = pool.size;
  const [down, across] = pool.outSize;
  const geometry = geometryOf([together * height, width], pool.kernel, pool, [together * down, across]);
  const images = Array.from({ length: n / together }, (_, i) => {
    const image = n === together ? map : c.b.take(map, [[i], null, null, null]);
    return fromPixels(c.b, c.b.maxPool(toPixels(c.b, image), geometry), [together, channels, down, across]);
  });
  return likeInput(c, x, c.b.concat(images, 0));
};

/** Pooling over windows, whole maps and axes. */
export const poolingOperators: Readonly<Record<string, Operator>> = {
  AveragePool: averagePool,
  MaxPool: maxPool,
  GlobalAveragePool: globalAveragePool,
  GlobalMaxPool: globalMaxPool,
  ReduceMax: reduceMax,
};
