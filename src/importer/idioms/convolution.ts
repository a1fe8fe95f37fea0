import type { Geometry } from '../../graph/geometry.js';
import { coarsen, concatenate, permute, take, type Layout } from '../../graph/layout.js';
import { isConstant, isOperation, type ConstantExpr, type Expr, type OperationExpr } from '../expr.js';
import type { Lowered, Lowerer } from '../lower.js';
import { Unsupported } from '../problems.js';
import type { Idiom } from './idiom.js';

/**
 * A convolution over a feature map: windows of the map and a linear layer, of each channel by itself where every
 * channel is a group. Zeros that a Pad puts around the map are part of it.
 */
export const convolution: Idiom = {
  name: 'convolution',
  lower(expr, lowerer) {
    if (!isOperation(expr, 'conv')) return null;
    const weight = expr.inputs[1];
    if (!isConstant(weight))
      throw new Unsupported('the filters depend on the image', 'only filters that are weights are supported');
    const { group = 1 } = expr.attributes;
    const { map, geometry } = unpadded(expr);
    const conv = { expr, lowerer, weight, geometry, channels: map.shape[1], x: lowerer.lower(map), map };
    if (group === 1) return dense(conv, conv.x, weight.value.data, weight.shape[0]);
    return weight.shape[1] === 1 ? depthwise(conv) : grouped(conv, group);
  },
};

/** A convolution over a map that begins as `map`, of `channels` channels, and lies as `x`. */
interface Convolution {
  readonly expr: OperationExpr;
  readonly lowerer: Lowerer;
  readonly weight: ConstantExpr;
  readonly geometry: Geometry;
  readonly channels: number;
  readonly x: Lowered;
  readonly map: Expr;
}

/** The map without the zeros around it, and the windows over it. */
function unpadded(expr: OperationExpr): { map: Expr; geometry: Geometry } {
  const [x, weight] = expr.inputs;
  const { strides, pads, dilations } = expr.attributes;
  const border = borderOf(x);
  const map = border ? border.map : x;
  const [top, left] = border ? border.before : [0, 0];
  const pair = (of: readonly number[]): [number, number] => [of[0], of[1]];
  const geometry = {
    size: pair(map.shape.slice(2)),
    kernel: pair(weight.shape.slice(2)),
    stride: pair(strides!),
    pad: [pads![0] + top, pads![1] + left] as const,
    dilation: pair(dilations!),
    outSize: pair(expr.shape.slice(2)),
  };
  return { map, geometry };
}

/** The map inside of a view that only puts zeros around it. */
function borderOf(x: Expr): { map: Expr; before: readonly [number, number] } | null {
  if (x.op !== 'view' || x.sources.length !== 1) return null;
  const [map] = x.sources;
  if (map.shape.length !== 4 || map.shape[0] !== 1 || map.shape[1] !== x.shape[1]) return null;
  const { piece, index } = x.layout;
  const first = index.findIndex((from) => from >= 0) * piece;
  const [top, left] = [Math.floor(first / x.shape[3]), first % x.shape[3]];
  const positions = (axis: number, before: number): Int32Array =>
    Int32Array.from({ length: x.shape[axis] }, (_, i) => {
      const at = i - before;
      return at >= 0 && at < map.shape[axis] ? at : -1;
    });
  if (first < 0 || top + map.shape[2] > x.shape[2] || left + map.shape[3] > x.shape[3]) return null;
  const padded = take(map.shape, [null, null, positions(2, top), positions(3, left)]);
  const wanted = coarsen(padded, [map.shape.reduce((a, b) => a * b)]);
  const isSame = wanted.piece === piece && wanted.index.every((from, i) => from === index[i]);
  return isSame && wanted.index.length === index.length ? { map, before: [top, left] } : null;
}

const isPlain = ({ kernel, stride, pad, size, outSize }: Geometry): boolean =>
  [0, 1].every((i) => kernel[i] === 1 && stride[i] === 1 && pad[i] === 0 && size[i] === outSize[i]);

/** Channels first to pixels. */
function pixelsOf({ lowerer, geometry }: Convolution, x: Lowered, channels: number): Lowered {
  const pixels = geometry.size[0] * geometry.size[1];
  return lowerer.rearranged(x, permute([channels, pixels], [1, 0]), [pixels, channels]);
}

/** Where the elements of the map [1, columns, oh, ow] are in a value of its pixels, in this order or another. */
function mapOf(columns: number, pixels: Int32Array | number): Layout {
  if (typeof pixels === 'number') return permute([pixels, columns], [1, 0]);
  const count = pixels.length;
  const index = Int32Array.from(
    { length: columns * count },
    (_, i) => pixels[i % count] * columns + Math.floor(i / count),
  );
  return { piece: 1, index };
}

/**
 * Filters over all channels of x.
 * @param filters [columns, channels, kh, kw]
 */
function dense(conv: Convolution, x: Lowered, filters: ArrayLike<number>, columns: number): Lowered {
  const { expr, lowerer, weight: named, geometry, map } = conv;
  const taps = geometry.kernel[0] * geometry.kernel[1];
  const channels = filters.length / columns / taps;
  const pixels = pixelsOf(conv, x, channels);
  const weight = new Float32Array(filters.length);
  for (let i = 0; i < weight.length; i++) {
    const [t, c, n] = [i % taps, Math.floor(i / taps) % channels, Math.floor(i / taps / channels)];
    weight[(n * taps + t) * channels + c] = filters[i];
  }
  const shape = [1, columns, ...geometry.outSize];
  const rows = geometry.outSize[0] * geometry.outSize[1];
  const layer = { op: 'linear' as const, rows, cols: columns, weight, bias: new Float32Array(columns) };
  if (isPlain(geometry)) {
    const { x: source, order } = lowerer.byRows(pixels, channels, map);
    const node = { ...layer, x: source, inFeatures: channels };
    return lowerer.emit(expr, node, [named], shape, mapOf(columns, order.index));
  }
  const source = windowsOf(conv, lowerer.inOrder(pixels, channels, map), taps * channels);
  return lowerer.emit(expr, { ...layer, x: source, inFeatures: taps * channels }, [named], shape, mapOf(columns, rows));
}

function windowsOf({ expr, lowerer, geometry, weight }: Convolution, x: string, cols: number): string {
  const rows = geometry.outSize[0] * geometry.outSize[1];
  const node = { op: 'windows' as const, rows, cols, x, geometry };
  return lowerer.emit({ ...expr, tensor: '' }, node, [weight], [rows, cols]).sources[0];
}

/** Every channel by itself, or with several filters, which then take turns. */
function depthwise(conv: Convolution): Lowered {
  const { expr, lowerer, weight, geometry, channels, x, map } = conv;
  const taps = geometry.kernel[0] * geometry.kernel[1];
  const source = lowerer.inOrder(pixelsOf(conv, x, channels), channels, map);
  const rows = geometry.outSize[0] * geometry.outSize[1];
  const times = weight.shape[0] / channels;
  const { data } = weight.value;
  const parts = Array.from({ length: times }, (_, m): Lowered => {
    const own = new Float32Array(taps * channels);
    for (let c = 0; c < channels; c++)
      for (let t = 0; t < taps; t++) own[t * channels + c] = data[(c * times + m) * taps + t];
    const node = {
      op: 'depthwise' as const,
      rows,
      cols: channels,
      x: source,
      geometry,
      weight: own,
      bias: new Float32Array(channels),
    };
    const part = times === 1 ? expr : { ...expr, tensor: '' };
    return lowerer.emit(part, node, [weight], [1, channels, ...geometry.outSize], mapOf(channels, rows));
  });
  if (times === 1) return parts[0];
  // [times, C, pixels] to [C, times, pixels].
  const all = joined(lowerer, parts, [times, channels, rows]);
  return lowerer.rearranged(all, permute([times, channels, rows], [1, 0, 2]), expr.shape);
}

/** Values one after the other. */
function joined(lowerer: Lowerer, parts: readonly Lowered[], shape: readonly number[]): Lowered {
  const sources = parts.map((part) => part.sources[0]);
  const sizes = sources.map((id) => lowerer.sizeOf(id));
  const ends = concatenate(
    sizes.map((size) => [size]),
    0,
  );
  const whole: Lowered = { shape: [sizes.reduce((a, b) => a + b)], sources, layout: ends };
  let start = 0;
  const index: number[] = [];
  for (const [i, part] of parts.entries()) {
    const { piece, index: own } = part.layout;
    for (const from of own) for (let j = 0; j < piece; j++) index.push(from < 0 ? -1 : start + from * piece + j);
    start += sizes[i];
  }
  return lowerer.rearranged(whole, { piece: 1, index: Int32Array.from(index) }, shape);
}

/** Groups are merged as far as filters with zeros cost no more than so many channels would. */
const MERGED_CHANNELS = 16;

/** Filters over groups of channels: as many linear layers, of their channels' windows each. */
function grouped(conv: Convolution, group: number): Lowered {
  const { expr, lowerer, weight, channels, x, geometry } = conv;
  const [filters, width, ...kernel] = weight.shape;
  const taps = kernel[0] * kernel[1];
  let merged = 1;
  for (let m = 2; m <= group; m++) if (group % m === 0 && m * width <= MERGED_CHANNELS) merged = m;
  const [wide, own, columns] = [merged * width, merged, (filters / group) * merged];
  const { data } = weight.value;
  const rest = geometry.size[0] * geometry.size[1];
  const parts = Array.from({ length: group / own }, (_, g) => {
    const kernelOf = new Float32Array(columns * wide * taps);
    for (let n = 0; n < columns; n++) {
      const at = Math.floor(n / (filters / group)) * width;
      const from = (g * columns + n) * width * taps;
      kernelOf.set(data.subarray(from, from + width * taps), (n * wide + at) * taps);
    }
    const picks = Int32Array.from({ length: wide }, (_, c) => g * wide + c);
    const part = lowerer.rearranged(x, take([channels, rest], [picks, null]), [1, wide, ...geometry.size]);
    return dense({ ...conv, expr: { ...expr, tensor: '' } }, part, kernelOf, columns);
  });
  return parts.length === 1 ? parts[0] : joined(lowerer, parts, expr.shape);
}
