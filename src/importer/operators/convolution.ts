import { InputError } from '../../errors.js';
import { Constant, sizeOf } from '../constant.js';
import { isConstant, type Expr } from '../expr.js';
import type { ExprBuilder } from '../expr-builder.js';
import type { Operator, OperatorContext } from '../operator.js';
import { Unsupported } from '../problems.js';
import { asMap, onMap, slidingOf, type Sliding } from './spatial.js';

const conv: Operator = (c) => {
  const [x, weight] = [c.input(0), c.input(1)];
  const sliding = slidingOf(c, weight.shape.slice(2), x.shape.slice(2));
  if (x.shape.length === 5 && weight.shape.length === 5) return overFrames(c, x, weight, sliding);
  const map = asMap(c.b, x);
  const out = convolved(c.b, map, asMap(c.b, weight), { ...onMap(sliding), group: c.int('group', 1) });
  return withBias(c, x, out);
};

/** A convolution of a video [N, C, frames, H, W]: of each frame of the result, with the frames it reads as channels. */
function overFrames(c: OperatorContext, x: Expr, weight: Expr, { strides, dilations, pads }: Sliding): Expr {
  const [n, channels, frames, height, width] = x.shape;
  const [filters, perGroup, taps, ...kernel] = weight.shape;
  const count = Math.floor((frames + pads[0] + pads[3] - dilations[0] * (taps - 1) - 1) / strides[0]) + 1;
  if (count < 1) throw new InputError(`${frames} frames are fewer than the kernel's ${taps}`);
  const sliding = {
    strides: strides.slice(1),
    dilations: dilations.slice(1),
    pads: [pads[1], pads[2], pads[4], pads[5]],
    group: c.int('group', 1),
  };
  const planar = c.b.reshape(weight, [filters, perGroup * taps, ...kernel]);
  const maps = Array.from({ length: count }, (_, i) => {
    const read = Int32Array.from({ length: taps }, (_, k) => i * strides[0] - pads[0] + k * dilations[0]);
    const inside = read.map((frame) => (frame < frames ? Math.max(frame, -1) : -1));
    const taken = c.b.take(x, [null, null, inside, null, null]);
    const map = convolved(c.b, c.b.reshape(taken, [n, channels * taps, height, width]), planar, sliding);
    const sum = c.has(2) ? c.b.add(map, c.b.reshape(c.input(2), [1, filters, 1, 1])) : map;
    return c.b.reshape(sum, [n, filters, 1, ...sum.shape.slice(2)]);
  });
  return c.b.concat(maps, 2);
}

/** The map plus a bias for each channel, without the axis that `asMap` put in. */
function withBias(c: OperatorContext, x: Expr, map: Expr): Expr {
  const sum = c.has(2) ? c.b.add(map, c.b.reshape(c.input(2), [1, map.shape[1], 1, 1])) : map;
  return x.shape.length === 3 ? c.b.reshape(sum, [map.shape[0], map.shape[1], map.shape[3]]) : sum;
}

interface Grouped extends Sliding {
  readonly group: number;
}

/**
 * The convolution of each image of a batch: laid below each other, with as many zeros between as keep them apart. The
 * file's own fixed batch stays an axis.
 */
function convolved(b: ExprBuilder, x: Expr, weight: Expr, sliding: Grouped): Expr {
  const [n, channels, height, width] = x.shape;
  const { strides, dilations, pads, group } = sliding;
  const batch = n % b.batch === 0 ? b.batch : 1;
  const images = n / batch;
  if (images === 1) return b.conv(x, weight, sliding);
  const reach = dilations[0] * (weight.shape[2] - 1) + 1;
  const count = Math.floor((height + pads[0] + pads[2] - reach) / strides[0]) + 1;
  const period = Math.ceil(Math.max(height + pads[0], (count - 1) * strides[0] + reach) / strides[0]) * strides[0];
  const rows = Int32Array.from({ length: period }, (_, y) => (y >= pads[0] && y < pads[0] + height ? y - pads[0] : -1));
  const below = b.transpose(b.reshape(x, [batch, images, channels, height, width]), [0, 2, 1, 3, 4]);
  const stacked = b.reshape(b.take(below, [null, null, null, rows, null]), [batch, channels, images * period, width]);
  const out = b.conv(stacked, weight, { strides, dilations, pads: [0, pads[1], 0, pads[3]], group });
  const [, filters, , columns] = out.shape;
  const perImage = period / strides[0];
  const kept = Int32Array.from({ length: images * count }, (_, i) => Math.floor(i / count) * perImage + (i % count));
  const maps = b.reshape(b.take(out, [null, null, kept, null]), [batch, filters, images, count, columns]);
  return b.reshape(b.transpose(maps, [0, 2, 1, 3, 4]), [n, filters, count, columns]);
}

/**
 * A transposed convolution. Each residue of a position in the output, by the stride, is a convolution of its own, with
 * the taps that reach it; where windows do not overlap, all are one linear layer.
 */
const convTranspose: Operator = (c) => {
  const [x, weight] = [c.input(0), c.input(1)];
  if (!isConstant(weight))
    throw new Unsupported('the filters depend on the image', 'only filters that are weights are supported');
  const kernel = weight.shape.slice(2);
  const given = transposedSliding(c, kernel, x.shape.slice(2));
  const { strides, dilations, pads } = onMap(given);
  const map = asMap(c.b, x);
  const filters = asMap(c.b, weight);
  const size = given.size.length === 1 ? [1, given.size[0]] : given.size;
  const group = c.int('group', 1);
  if (map.shape[1] !== filters.shape[0] || filters.shape[0] % group !== 0)
    throw new InputError(`the convolution expects ${filters.shape[0]} channels but its input has ${map.shape[1]}`);
  const [kh, kw] = filters.shape.slice(2);
  const isApart = kh === strides[0] && kw === strides[1] && group === 1 && size[0] === map.shape[2] * kh;
  const plain = dilations.every((d) => d === 1) && pads.every((p) => p === 0);
  if (isApart && plain && size[1] === map.shape[3] * kw) return withBias(c, x, apart(c.b, map, filters));
  const axes = [0, 1].map((axis) => phases(axis, filters.shape, { strides, dilations, pads }, size[axis]));
  return withBias(c, x, interleaved(c.b, map, filters, { axes, size, group }));
};

interface TransposedSliding extends Sliding {
  /** Of the output. */
  readonly size: readonly number[];
}

function transposedSliding(c: OperatorContext, kernel: readonly number[], from: readonly number[]): TransposedSliding {
  const ones = kernel.map(() => 1);
  const strides = c.intsOr('strides', ones);
  const dilations = c.intsOr('dilations', ones);
  const extra = c.intsOr(
    'output_padding',
    ones.map(() => 0),
  );
  const full = kernel.map((k, i) => strides[i] * (from[i] - 1) + extra[i] + dilations[i] * (k - 1) + 1);
  const auto = c.text('auto_pad', 'NOTSET');
  const wanted =
    c.intsOr('output_shape', null) ?? (auto.startsWith('SAME') ? from.map((n, i) => n * strides[i]) : null);
  const zeros = [...ones, ...ones].map(() => 0);
  if (wanted === null) {
    const pads = auto === 'VALID' ? zeros : c.intsOr('pads', zeros);
    return { strides, dilations, pads, size: full.map((n, i) => n - pads[i] - pads[i + kernel.length]) };
  }
  const total = full.map((n, i) => n - wanted[i]);
  const before = total.map((pad) => (auto === 'SAME_UPPER' ? Math.floor(pad / 2) : pad - Math.floor(pad / 2)));
  return { strides, dilations, pads: [...before, ...total.map((pad, i) => pad - before[i])], size: wanted };
}

/** Windows that do not overlap: a linear layer that gives all pixels of each. */
function apart(b: ExprBuilder, x: Expr, weight: Expr): Expr {
  const [n, channels, height, width] = x.shape;
  const [, filters, kh, kw] = weight.shape;
  const pixels = b.reshape(b.transpose(x, [0, 2, 3, 1]), [n * height * width, channels]);
  // Of each pixel: [kh, kw, filters], so that rows of channels stay whole.
  const matrix = b.reshape(b.transpose(weight, [0, 2, 3, 1]), [channels, kh * kw * filters]);
  const windows = b.reshape(b.matmul(pixels, matrix), [n, height, width, kh, kw, filters]);
  return b.reshape(b.transpose(windows, [0, 5, 1, 3, 2, 4]), [n, filters, height * kh, width * kw]);
}

/** The positions of one residue along an axis: their number, and the taps that reach them. */
interface Phase {
  readonly count: number;
  /** The kernel's positions, in the order in which they meet the input; −1: none. */
  readonly taps: readonly number[];
  /** Where in the input the first tap of the first position is. */
  readonly first: number;
}

/** Output position q·stride + r reads the input at q + (r + pad − k·dilation)/stride, where that is whole. */
function phases(axis: number, filters: readonly number[], sliding: Sliding, size: number): Phase[] {
  const [stride, dilation] = [sliding.strides[axis], sliding.dilations[axis]];
  const pad = sliding.pads[axis];
  return Array.from({ length: Math.min(stride, size) }, (_, r) => {
    const offsets = Array.from({ length: filters[2 + axis] }, (_, k) => (r + pad - k * dilation) / stride);
    const whole = offsets.filter(Number.isInteger);
    const count = Math.ceil((size - r) / stride);
    if (whole.length === 0) return { count, taps: [], first: 0 };
    const [least, most] = [Math.min(...whole), Math.max(...whole)];
    const taps = Array.from({ length: most - least + 1 }, (_, i) => offsets.indexOf(least + i));
    return { count, taps, first: least };
  });
}

interface Phases {
  readonly axes: readonly (readonly Phase[])[];
  readonly size: readonly number[];
  readonly group: number;
}

/** All residues' convolutions, their pixels in turn. */
function interleaved(b: ExprBuilder, x: Expr, weight: Expr, { axes, size, group }: Phases): Expr {
  const [n] = x.shape;
  const filters = weight.shape[1] * group;
  const parts: Expr[] = [];
  const [most, widest] = axes.map(([first]) => first.count);
  for (const down of axes[0])
    for (const across of axes[1]) {
      const part = phase(b, x, weight, [down, across], group);
      const pick = (n: number, count: number): number[] => Array.from({ length: n }, (_, i) => (i < count ? i : -1));
      parts.push(b.take(part, [null, null, pick(most, down.count), pick(widest, across.count)]));
    }
  const stacked = b.concat(
    parts.map((part) => b.reshape(part, [1, n, filters, most, widest])),
    0,
  );
  const [sy, sx] = axes.map((axis) => axis.length);
  const spread = b.reshape(stacked, [sy, sx, n, filters, most, widest]);
  const whole = b.reshape(b.transpose(spread, [2, 3, 4, 0, 5, 1]), [n, filters, most * sy, widest * sx]);
  const range = (n: number): Int32Array => Int32Array.from({ length: n }, (_, i) => i);
  return b.take(whole, [null, null, range(size[0]), range(size[1])]);
}

function phase(b: ExprBuilder, x: Expr, weight: Expr, [down, across]: readonly Phase[], group: number): Expr {
  const filters = weight.shape[1] * group;
  const shape = [x.shape[0], filters, down.count, across.count];
  if (down.taps.length === 0 || across.taps.length === 0)
    return b.constant(Constant.of(shape, 'float', new Float32Array(sizeOf(shape))));
  const taken = b.take(weight, [null, null, down.taps, across.taps]);
  const [channels, perGroup] = weight.shape;
  const [kh, kw] = [down.taps.length, across.taps.length];
  // [C, N/g, …] to [N, C/g, …].
  const grouped = b.reshape(taken, [group, channels / group, perGroup, kh, kw]);
  const turned = b.reshape(b.transpose(grouped, [0, 2, 1, 3, 4]), [filters, channels / group, kh, kw]);
  // A window that begins inside of the map: what is before it is left out.
  const skip = [down, across].map(({ first }) => Math.max(0, first));
  const inside = b.take(x, [
    null,
    null,
    ...skip.map((from, axis) => Int32Array.from({ length: x.shape[2 + axis] - from }, (_, i) => from + i)),
  ]);
  const before = [down, across].map(({ first }) => Math.max(0, -first));
  const after = [down, across].map(
    ({ count, taps }, axis) => count - 1 + taps.length - before[axis] - inside.shape[2 + axis],
  );
  return convolved(b, inside, turned, { strides: [1, 1], dilations: [1, 1], pads: [...before, ...after], group });
}

/** Convolutions. */
export const convolutionOperators: Readonly<Record<string, Operator>> = {
  Conv: conv,
  ConvTranspose: convTranspose,
};
