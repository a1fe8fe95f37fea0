import { InputError } from '../../errors.js';
import { sameShape, sizeOf } from '../constant.js';
import { isConstant, isOperation, type Expr } from '../expr.js';
import type { Operator, OperatorContext } from '../operator.js';
import { mixture, type AxisTaps } from './mixture.js';
import { Unsupported } from '../problems.js';
import { asMap, fromPixels, geometryOf, slidingOf, toPixels, type Sliding } from './spatial.js';

const spatialAxes = (x: Expr): number[] => x.shape.map((_, axis) => axis).slice(2);

const globalAveragePool = (c: OperatorContext): Expr => c.b.reduce('mean', c.input(0), spatialAxes(c.input(0)));

const globalMaxPool: Operator = (c) => c.b.maximum(c.input(0), spatialAxes(c.input(0)));

/** Windows of a pool over the axes of a map. */
interface Pool extends Sliding {
  readonly kernel: readonly number[];
  readonly size: readonly number[];
  readonly outSize: readonly number[];
}

/** A pool over a map [N, C, H, W]. */
type PoolMap = (map: Expr, pool: Pool) => Expr;

/** How many windows there are along each axis; `ceil_mode` adds one that begins before the axis ends. */
function poolOf(c: OperatorContext, x: Expr): Pool {
  const kernel = c.intsOr('kernel_shape', []);
  const size = x.shape.slice(2);
  const sliding = slidingOf(c, kernel, size);
  const { strides, dilations, pads } = sliding;
  const outSize = kernel.map((length, axis) => {
    const [before, after] = [pads[axis], pads[axis + kernel.length]];
    const padded = size[axis] + before + after;
    const room = padded - dilations[axis] * (length - 1) - 1;
    const count = (c.int('ceil_mode', 0) === 1 ? Math.ceil : Math.floor)(room / strides[axis]) + 1;
    const inside = (count - 1) * strides[axis] >= size[axis] + before ? count - 1 : count;
    if (!(length >= 1 && inside >= 1)) throw new InputError(`a window of ${length} does not fit an axis of ${padded}`);
    return inside;
  });
  return { ...sliding, kernel, size, outSize };
}

/** Pools over any number of axes, two at a time: windows are the product of their axes. */
function overAxes(c: OperatorContext, pool: Pool, poolMap: PoolMap): Expr {
  const x = c.input(0);
  const [n, channels, ...size] = x.shape;
  if (size.length <= 2) return likeInput(c, x, poolMap(asMap(c.b, x), onTwoAxes(pool, [...size.keys()])));
  if (size.length > 3) throw new Unsupported(`windows over ${size.length} axes`, 'images and videos are supported');
  const [depth, height, width] = size;
  const frames = poolMap(c.b.reshape(x, [n, channels * depth, height, width]), onTwoAxes(pool, [1, 2]));
  const [down, across] = frames.shape.slice(2);
  const pixels = down * across;
  const deep = poolMap(c.b.reshape(frames, [n, channels, depth, pixels]), onTwoAxes(pool, [0], pixels));
  return c.b.reshape(deep, [n, channels, pool.outSize[0], down, across]);
}

/** The windows along two axes; along one as the width of a map, or as the height of one of such a width. */
function onTwoAxes(
  { kernel, size, outSize, strides, dilations, pads }: Pool,
  axes: readonly number[],
  width?: number,
): Pool {
  const rank = kernel.length;
  const pick = (of: readonly number[], fill: number): number[] => {
    const own = axes.map((axis) => of[axis]);
    return own.length === 2 ? own : width === undefined ? [fill, ...own] : [...own, fill];
  };
  return {
    kernel: pick(kernel, 1),
    size: pick(size, width ?? 1),
    outSize: pick(outSize, width ?? 1),
    strides: pick(strides, 1),
    dilations: pick(dilations, 1),
    pads: [...pick(pads, 0), ...pick(pads.slice(rank), 0)],
  };
}

/** Drops the axis that `asMap` put in. */
const likeInput = (c: OperatorContext, x: Expr, map: Expr): Expr =>
  x.shape.length === 3 ? c.b.reshape(map, [map.shape[0], map.shape[1], map.shape[3]]) : map;

const averagePool: Operator = (c) => {
  const pool = poolOf(c, c.input(0));
  const isWhole = pool.kernel.every((length, axis) => length === pool.size[axis] && pool.outSize[axis] === 1);
  if (isWhole && pool.pads.every((pad) => pad === 0)) return globalAveragePool(c);
  const countsPads = c.int('count_include_pad', 0) === 1;
  return overAxes(c, pool, (map, windows) => {
    c.b.budget.make(windows.outSize[0] * windows.kernel[0] + windows.outSize[1] * windows.kernel[1]);
    const taps = [0, 1].map((axis) => averageTaps(windows, axis, countsPads)) as [AxisTaps, AxisTaps];
    return mixture(c.b, map, taps);
  });
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

/** The p-norm of what a window, or the whole map, holds: (Σ|x|^p)^(1/p). */
const lpPool =
  (isGlobal: boolean): Operator =>
  (c) => {
    const x = c.input(0);
    const p = c.int('p', 2);
    const powers = c.b.power(p % 2 === 0 ? x : c.b.scalarOp('abs', x), p);
    if (isGlobal) return c.b.power(c.b.reduce('sum', powers, spatialAxes(x)), 1 / p);
    const pool = poolOf(c, x);
    const sums = overAxes(c.as([powers]), pool, (map, windows) => {
      const ones = (axis: number): AxisTaps => averageTaps(windows, axis, false).map((at) => at.map(([i]) => [i, 1]));
      return mixture(c.b, map, [ones(0), ones(1)]);
    });
    return c.b.power(sums, 1 / p);
  };

/** What pads a map so that no window's largest value lies in it: float16's least number, or less. */
const LOWEST = -65504;

/** The map without the border of lowest values that a Pad before the pool put around it, which are pads of the pool. */
function withoutBorder(c: OperatorContext): { context: OperatorContext; pool: Pool } {
  const x = c.input(0);
  const pool = poolOf(c, x);
  const same = { context: c, pool };
  if (!isOperation(x, 'add') || !isConstant(x.inputs[1]) || !sameShape(x.inputs[1].shape, x.shape)) return same;
  const { data } = x.inputs[1].value;
  const inside = [...pool.size.keys()].map((axis) => {
    const after = sizeOf(x.shape.slice(axis + 3));
    const isOpen = new Uint8Array(pool.size[axis]);
    for (let i = 0; i < data.length; i++) if (data[i] === 0) isOpen[Math.floor(i / after) % pool.size[axis]] = 1;
    return [isOpen.indexOf(1), isOpen.lastIndexOf(1) + 1 - isOpen.indexOf(1)];
  });
  // All else is the border, and what is inside of it is whole.
  const count = sizeOf(inside.map(([, length]) => length)) * sizeOf(x.shape.slice(0, 2));
  if (!data.every((v) => v === 0 || v <= LOWEST) || data.filter((v) => v === 0).length !== count) return same;
  const picks = inside.map(([first, length]) => Array.from({ length }, (_, i) => first + i));
  const size = inside.map(([, length]) => length);
  const pads = pool.pads.map((pad, i) => {
    const [first, length] = inside[i % size.length];
    return pad + (i < size.length ? first : pool.size[i % size.length] - first - length);
  });
  return { context: c.as([c.b.take(x.inputs[0], [null, null, ...picks])]), pool: { ...pool, size, pads } };
}

const maxPool: Operator = (c) => {
  const { context, pool: whole } = withoutBorder(c);
  return overAxes(context, whole, (map, pool) => {
    const [n, channels] = map.shape;
    // Images of a batch lie below each other, where no window reaches from one into the next.
    const isApart = pool.outSize[0] * pool.strides[0] === pool.size[0] && pool.kernel[0] <= pool.strides[0];
    // Of a fixed batch one image is taken afterwards.
    const isBatch = c.b.batch > 1 && n === c.b.batch;
    const together = isBatch || (isApart && pool.pads.every((pad) => pad === 0)) ? n : 1;
    const [height, width] = pool.size;
    const [down, across] = pool.outSize;
    const kernel = [pool.kernel[0], pool.kernel[1]] as const;
    const geometry = geometryOf([together * height, width], kernel, pool, [together * down, across]);
    const images = Array.from({ length: n / together }, (_, i) => {
      const image = n === together ? map : c.b.take(map, [[i], null, null, null]);
      return fromPixels(c.b, c.b.maxPool(toPixels(c.b, image), geometry), [together, channels, down, across]);
    });
    return c.b.concat(images, 0);
  });
};

/** Pooling over windows, whole maps and axes. */
export const poolingOperators: Readonly<Record<string, Operator>> = {
  AveragePool: averagePool,
  MaxPool: maxPool,
  GlobalAveragePool: globalAveragePool,
  GlobalMaxPool: globalMaxPool,
  LpPool: lpPool(false),
  GlobalLpPool: lpPool(true),
};
