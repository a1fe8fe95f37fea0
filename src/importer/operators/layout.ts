import { InputError } from '../../errors.js';
import { Constant, sizeOf } from '../constant.js';
import { isConstant, type ConstantExpr, type Expr } from '../expr.js';
import type { Operator, OperatorContext } from '../operator.js';
import { trainingMode } from '../problems.js';
import { placeOf } from './scatter.js';

/** No axis of a Vision Transformer is longer; more is a damaged or hostile file. */
const MAX_LENGTH = 2 ** 24;

function range(count: number, start = 0, step = 1): number[] {
  if (!(count >= 0 && count <= MAX_LENGTH)) throw new InputError(`an axis of ${count} positions is impossible`);
  return Array.from({ length: count }, (_, i) => start + i * step);
}

const picksFor = (rank: number, axis: number, pick: ArrayLike<number>): (ArrayLike<number> | null)[] =>
  range(rank).map((i) => (i === axis ? pick : null));

const reshape: Operator = (c) => {
  const x = c.input(0);
  const target = c.has(1) ? c.integers(1) : c.intsOr('shape', []);
  const keepZero = c.int('allowzero', 0) === 1;
  const shape = target.map((dim, i) => (dim === 0 && !keepZero ? (x.shape[i] ?? 0) : dim));
  const open = shape.indexOf(-1);
  if (open >= 0) {
    const rest = shape.reduce((product, dim, i) => (i === open ? product : product * dim), 1);
    shape[open] = rest === 0 ? 0 : sizeOf(x.shape) / rest;
    if (!Number.isInteger(shape[open]) || shape.lastIndexOf(-1) > open)
      throw new InputError(`the shape [${x.shape.join(', ')}] cannot become [${target.join(', ')}]`);
  }
  return c.b.reshape(x, shape);
};

const transpose: Operator = (c) => {
  const x = c.input(0);
  const perm = c.intsOr('perm', null) ?? range(x.shape.length).reverse();
  if (perm.length !== x.shape.length || new Set(perm).size !== perm.length || perm.some((axis) => !(axis in x.shape)))
    throw new InputError(`perm [${perm.join(', ')}] does not fit a tensor of ${x.shape.length} axes`);
  return c.b.transpose(x, perm);
};

const squeeze: Operator = (c) => {
  const x = c.input(0);
  const axes = c.axes(1, x.shape.length) ?? range(x.shape.length).filter((axis) => x.shape[axis] === 1);
  if (axes.some((axis) => x.shape[axis] !== 1))
    throw new InputError(`axes [${axes.join(', ')}] of the shape [${x.shape.join(', ')}] are not all of length 1`);
  return c.b.reshape(
    x,
    x.shape.filter((_, axis) => !axes.includes(axis)),
  );
};

const unsqueeze: Operator = (c) => {
  const x = c.input(0);
  const given = c.has(1) ? c.integers(1) : c.intsOr('axes', []);
  const rank = x.shape.length + given.length;
  const axes = given.map((axis) => c.axis(axis, rank));
  const rest = [...x.shape];
  return c.b.reshape(
    x,
    range(rank).map((axis) => (axes.includes(axis) ? 1 : rest.shift()!)),
  );
};

const flatten: Operator = (c) => {
  const x = c.input(0);
  const axis = c.int('axis', 1) < 0 ? c.int('axis', 1) + x.shape.length : c.int('axis', 1);
  return c.b.reshape(x, [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis))]);
};

const concat: Operator = (c) => {
  const parts = c.inputs.filter((input) => input !== null);
  const axis = c.axis(c.int('axis', 1), parts[0].shape.length);
  const filled = parts.filter((part) => part.shape[axis] !== 0);
  return filled.length > 0 ? c.b.concat(filled, axis) : parts[0];
};

const split: Operator = (c) => {
  const x = c.input(0);
  const axis = c.axis(c.int('axis', 0), x.shape.length);
  const count = c.int('num_outputs', c.node.outputs.length);
  const even = Math.ceil(x.shape[axis] / count);
  const sizes =
    (c.has(1) ? c.integers(1) : c.intsOr('split', null)) ??
    range(count).map((i) => Math.max(0, Math.min(even, x.shape[axis] - i * even)));
  if (sizes.reduce((sum, size) => sum + size, 0) !== x.shape[axis])
    throw new InputError(`parts of [${sizes.join(', ')}] do not make up an axis of ${x.shape[axis]}`);
  let start = 0;
  return sizes.map((size) => {
    const part = c.b.take(x, picksFor(x.shape.length, axis, range(size, start)));
    start += size;
    return part;
  });
};

const slice: Operator = (c) => {
  const x = c.input(0);
  const fromInputs = c.opset >= 10;
  const starts = fromInputs ? c.integers(1) : c.intsOr('starts', []);
  const ends = fromInputs ? c.integers(2) : c.intsOr('ends', []);
  const axes = (fromInputs ? c.axes(3, x.shape.length) : c.axes(Infinity, x.shape.length)) ?? range(starts.length);
  const steps = c.has(4) ? c.integers(4) : starts.map(() => 1);
  const picks: (ArrayLike<number> | null)[] = x.shape.map(() => null);
  axes.forEach((axis, i) => {
    picks[axis] = slicePositions(x.shape[axis], starts[i], ends[i], steps[i]);
  });
  return c.b.take(x, picks);
};

function slicePositions(length: number, start: number, end: number, step: number): number[] {
  if (step === 0) throw new InputError('a slice has step 0');
  const clamp = (at: number, low: number, high: number): number =>
    Math.min(high, Math.max(low, at < 0 ? at + length : at));
  const [from, to] =
    step > 0
      ? [clamp(start, 0, length), clamp(end, 0, length)]
      : [clamp(start, 0, length - 1), end < -length ? -1 : clamp(end, -1, length - 1)];
  return range(Math.max(0, Math.ceil((to - from) / step)), from, step);
}

const gather: Operator = (c) => {
  const x = c.input(0);
  const axis = c.axis(c.int('axis', 0), x.shape.length);
  const indices = c.constant(1);
  const positions = Array.from(indices.data, (index) => placeOf(index, x.shape[axis]));
  const taken = c.b.take(x, picksFor(x.shape.length, axis, positions));
  return c.b.reshape(taken, [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)]);
};

const pad: Operator = (c) => {
  const x = c.input(0);
  const rank = x.shape.length;
  const pads = c.has(1) ? c.integers(1) : (c.intsOr('pads', null) ?? []);
  const axes = c.axes(3, rank) ?? range(rank);
  const mode = c.text('mode', 'constant');
  const value = c.has(2) ? c.constant(2).data[0] : c.float('value', 0);
  if (pads.length !== 2 * axes.length) throw new InputError(`${pads.length} pads for ${axes.length} axes`);
  const picks: (ArrayLike<number> | null)[] = x.shape.map(() => null);
  axes.forEach((axis, i) => {
    const [before, after] = [pads[i], pads[i + axes.length]];
    if (before !== 0 || after !== 0)
      picks[axis] = range(x.shape[axis] + before + after, -before).map((at) => padPosition(at, x.shape[axis], mode));
  });
  const padded = c.b.take(x, picks);
  if (value === 0 || mode !== 'constant' || picks.every((pick) => pick === null)) return padded;
  const inside = c.b.take(c.b.constant(ones(x.shape)), picks) as ConstantExpr;
  // No product: the value may be infinite.
  return c.b.add(
    padded,
    c.b.fold([inside.value], (isInside) => (isInside ? 0 : value)),
  );
};

/** Cut, or filled up with zeros, on both sides to given lengths. */
const centerCropPad: Operator = (c) => {
  const x = c.input(0);
  const axes = c.axes(Infinity, x.shape.length) ?? range(x.shape.length);
  const lengths = c.integers(1);
  const picks: (ArrayLike<number> | null)[] = x.shape.map(() => null);
  axes.forEach((axis, i) => {
    const more = lengths[i] - x.shape[axis];
    const first = more > 0 ? -Math.floor(more / 2) : Math.floor(-more / 2);
    picks[axis] = range(lengths[i], first).map((at) => padPosition(at, x.shape[axis], 'constant'));
  });
  return c.b.take(x, picks);
};

const ones = (shape: readonly number[]): Constant =>
  Constant.of(shape, 'float', new Float32Array(sizeOf(shape)).fill(1));

function padPosition(at: number, length: number, mode: string): number {
  if (at >= 0 && at < length) return at;
  switch (mode) {
    case 'constant':
      return -1;
    case 'edge':
      return at < 0 ? 0 : length - 1;
    case 'reflect':
      return at < 0 ? -at : 2 * (length - 1) - at;
    case 'wrap':
      return ((at % length) + length) % length;
    default:
      throw new InputError(`padding mode ${mode} is not known`);
  }
}

const expand: Operator = (c) => {
  const x = c.input(0);
  const target = c.integers(1);
  const rank = Math.max(target.length, x.shape.length);
  const shape = range(rank).map((i) => {
    const from = x.shape[x.shape.length - rank + i] ?? 1;
    const to = target[target.length - rank + i] ?? 1;
    if (from !== to && from !== 1 && to !== 1)
      throw new InputError(`the shape [${x.shape.join(', ')}] cannot be expanded to [${target.join(', ')}]`);
    return from === 1 ? to : from;
  });
  return c.b.expand(x, shape);
};

const tile: Operator = (c) => {
  const x = c.input(0);
  const repeats = c.integers(1);
  return c.b.take(
    x,
    x.shape.map((dim, axis) => (repeats[axis] === 1 ? null : range(dim * repeats[axis]).map((i) => i % dim))),
  );
};

const depthToSpace: Operator = (c) => {
  const x = c.input(0);
  const block = c.int('blocksize', 1);
  const [n, channels, h, w] = x.shape;
  const depth = channels / (block * block);
  const columnRowDepth = c.text('mode', 'DCR') === 'CRD';
  const split = columnRowDepth ? [n, depth, block, block, h, w] : [n, block, block, depth, h, w];
  const perm = columnRowDepth ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2];
  return c.b.reshape(c.b.transpose(c.b.reshape(x, split), perm), [n, depth, h * block, w * block]);
};

const spaceToDepth: Operator = (c) => {
  const x = c.input(0);
  const block = c.int('blocksize', 1);
  const [n, channels, h, w] = x.shape;
  const split = c.b.reshape(x, [n, channels, h / block, block, w / block, block]);
  return c.b.reshape(c.b.transpose(split, [0, 3, 5, 1, 2, 4]), [n, channels * block * block, h / block, w / block]);
};

const first = (c: OperatorContext): Expr => c.input(0);

/** Its third input switches it on; a share of 0 then drops nothing. */
const dropout: Operator = (c) => {
  const isSet = (i: number, byDefault: number): boolean => {
    const expr = c.has(i) ? c.input(i) : null;
    return Number(expr && isConstant(expr) ? expr.value.data[0] : byDefault) !== 0;
  };
  if (isSet(2, 0) && isSet(1, 0.5)) throw trainingMode('it drops values at random');
  return c.input(0);
};

/** Operators that only move elements, and those that do nothing at inference. */
export const layoutOperators: Readonly<Record<string, Operator>> = {
  Reshape: reshape,
  Transpose: transpose,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Flatten: flatten,
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  CenterCropPad: centerCropPad,
  Pad: pad,
  Expand: expand,
  Tile: tile,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Identity: first,
  Dropout: dropout,
};
