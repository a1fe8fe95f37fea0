import { isConstant, isOperation, type ConstantExpr, type Expr, type OperationExpr } from '../expr.js';
import { tapRows } from '../../graph/geometry.js';
import { coarsen, permute } from '../../graph/layout.js';
import { Constant } from '../constant.js';
import type { Lowered, Lowerer } from '../lower.js';
import { patchesOf, pixelsOf, planesOf, unfolded, type Patches, type Planes } from '../pixels.js';
import type { Idiom } from './idiom.js';

/**
 * The first layer: a convolution over the image, or patches cut by reshapes and a linear layer, which is the same. A
 * normalisation, padding, transposition or reordering of the image before it is folded in. Where something else reads
 * the patches, as a LayerNorm over pixels does, the convolution that copies them stands before it.
 */
export const patchEmbed: Idiom = {
  name: 'patch embedding',
  lower(expr, lowerer) {
    if (isOperation(expr, 'conv')) return convolution(expr, lowerer);
    if (isOperation(expr, 'matmul')) return linearOverPatches(expr, lowerer);
    return expr.op === 'view' ? copiedPatches(expr, lowerer) : null;
  },
};

function convolution(expr: OperationExpr, lowerer: Lowerer): Lowered | null {
  const [x, filters] = expr.inputs;
  const pixels = isConstant(filters) ? pixelsOf(x) : null;
  if (!pixels || !isConstant(filters)) return null;
  const weight = ungrouped(filters, x.shape[1]);
  const planes = planesOf(pixels, x.shape);
  const [height, width] = expr.shape.slice(2);
  const planar = permute([height * width, weight.shape[0]], [1, 0]);
  if (planes) {
    const node = overPlanes(expr, weight, planes, pixels.image[0]);
    const missing = shiftOfBorder(node, weight, planes, x.shape);
    if (missing === null) return lowerer.emit(expr, node, [weight], expr.shape, planar);
    const map = lowerer.emit({ ...expr, tensor: '' }, node, [weight], expr.shape);
    const { rows, cols } = node;
    const sum = { op: 'addConst' as const, rows, cols, x: map.sources[0], value: missing };
    return lowerer.emit(expr, sum, [weight], expr.shape, planar);
  }

  const columns = weight.shape[0];
  const taps = weight.value.size / columns;
  const patches = patchesOf(unfolded(pixels, expr), taps);
  if (!patches || !isConvolution(patches, pixels.image)) return null;
  const { data } = weight.value;
  const node = overPatches(patches, columns, pixels.image[0], (k, n) => data[n * taps + k]);
  const rows = height * width;
  const index = new Int32Array(columns * rows);
  for (let i = 0; i < index.length; i++) index[i] = patches.place[i % rows] * columns + Math.floor(i / rows);
  return lowerer.emit(expr, node, [weight], expr.shape, { piece: 1, index });
}

/** Filters [N, channels, …] of which each group reads its own channels alone: zeros for the others'. */
function ungrouped(filters: ConstantExpr, channels: number): ConstantExpr {
  const [count, width, ...kernel] = filters.shape;
  if (width === channels) return filters;
  const taps = kernel[0] * kernel[1];
  const perGroup = count / (channels / width);
  const { data, name } = filters.value;
  const whole = new Float32Array(count * channels * taps);
  for (let n = 0; n < count; n++) {
    const first = Math.floor(n / perGroup) * width;
    whole.set(data.subarray(n * width * taps, (n + 1) * width * taps), (n * channels + first) * taps);
  }
  const shape = [count, channels, ...kernel];
  return { ...filters, shape, value: Constant.of(shape, 'float', whole, name) };
}

/** A convolution over the image's planes as it is written. */
function overPlanes(expr: OperationExpr, weight: ConstantExpr, planes: Planes, imageChannels: number) {
  const { border, scale, shift, channels: reads } = planes;
  const [filters, channels, kh, kw] = weight.shape;
  const [height, width] = expr.shape.slice(2);
  const { strides, dilations } = expr.attributes;
  const pads = expr.attributes.pads!.map((pad, side) => pad + border[side]);
  const data = weight.value.data;
  const taps = kh * kw;
  const channelsLast = new Float32Array(filters * taps * imageChannels);
  const bias = new Float32Array(filters);
  for (let n = 0; n < filters; n++)
    for (let c = 0; c < channels; c++)
      for (let t = 0; t < taps; t++) {
        const w = data[(n * channels + c) * taps + t];
        channelsLast[(n * taps + t) * imageChannels + reads[c]] += w * scale[c];
        bias[n] += w * shift[c];
      }
  return {
    op: 'patchEmbed' as const,
    rows: height * width,
    cols: filters,
    weight: channelsLast,
    bias,
    kernel: [kh, kw] as const,
    stride: [strides![0], strides![1]] as const,
    pads: [pads[0], pads[1], pads[2], pads[3]] as const,
    dilation: [dilations![0], dilations![1]] as const,
    outSize: [height, width] as const,
  };
}

/**
 * [rows, N]: what the bias of a normalised image adds too much where the border's zeros, which come after, have none of
 * the shift; null: nothing.
 */
function shiftOfBorder(
  { rows, cols, kernel, stride, pads, dilation, outSize }: ReturnType<typeof overPlanes>,
  weight: ConstantExpr,
  { shift, border }: Planes,
  shape: readonly number[],
): Float32Array | null {
  if (pads.every((pad) => pad === 0) || shift.every((value) => value === 0)) return null;
  const size = [shape[2] - border[0] - border[2], shape[3] - border[1] - border[3]] as const;
  const pad = [pads[0], pads[1]] as const;
  const taps = kernel[0] * kernel[1];
  const from = tapRows({ size, kernel, stride, pad, dilation, outSize });
  const { data } = weight.value;
  const value = new Float32Array(rows * cols);
  for (let i = 0; i < from.length; i++) {
    if (from[i] >= 0) continue;
    const row = Math.floor(i / taps);
    for (let n = 0; n < cols; n++)
      for (let c = 0; c < shift.length; c++)
        value[row * cols + n] -= data[(n * shift.length + c) * taps + (i % taps)] * shift[c];
  }
  return value;
}

/** A linear layer with W [k, n] over patches, as the convolution that it equals. */
function overPatches(patches: Patches, cols: number, channels: number, w: (k: number, n: number) => number) {
  const { kernel, stride, grid, pads, tap, scale, shift } = patches;
  const size = kernel[0] * kernel[1] * channels;
  const weight = new Float32Array(cols * size);
  const bias = new Float32Array(cols);
  for (let n = 0; n < cols; n++)
    for (let k = 0; k < tap.length; k++) {
      const value = w(k, n);
      if (tap[k] >= 0) weight[n * size + tap[k]] += value * scale[k];
      bias[n] += value * shift[k];
    }
  return {
    op: 'patchEmbed' as const,
    rows: grid[0] * grid[1],
    cols,
    weight,
    bias,
    kernel,
    stride,
    // A border that no patch reaches needs no padding.
    pads: [pads[0], pads[1], Math.max(0, pads[2]), Math.max(0, pads[3])] as const,
    dilation: [1, 1] as const,
    outSize: grid,
  };
}

function linearOverPatches(expr: OperationExpr, lowerer: Lowerer): Lowered | null {
  const [x, weight] = expr.inputs;
  if (!isConstant(weight) || weight.shape.slice(0, -2).some((dim) => dim !== 1)) return null;
  const found = patches(x);
  if (!found) return null;
  const cols = weight.shape.at(-1)!;
  const { data } = weight.value;
  const node = overPatches(found.patches, cols, found.channels, (k, n) => data[k * cols + n]);
  const layout = coarsen({ piece: cols, index: found.patches.place }, [node.rows * cols]);
  return lowerer.emit(expr, node, [weight], expr.shape, layout);
}

/** Patches that no convolution reads: a convolution with one filter for each pixel copies them. */
function copiedPatches(expr: Expr, lowerer: Lowerer): Lowered | null {
  const found = patches(expr);
  if (!found) return null;
  const cols = expr.shape.at(-1)!;
  const node = overPatches(found.patches, cols, found.channels, (k, n) => (k === n ? 1 : 0));
  const layout = coarsen({ piece: cols, index: found.patches.place }, [node.rows * cols]);
  return lowerer.emit({ ...expr, tensor: '' }, node, [], expr.shape, layout);
}

function patches(x: Expr): { patches: Patches; channels: number } | null {
  if (x.shape.length < 2) return null;
  const pixels = pixelsOf(x);
  const found = pixels && patchesOf(pixels, x.shape.at(-1)!);
  return found && isConvolution(found, pixels.image) ? { patches: found, channels: pixels.image[0] } : null;
}

/** True where a convolution has exactly these patches: they begin at the border, and none is left out at the end. */
function isConvolution({ kernel, stride, grid, pads }: Patches, [, ...size]: readonly number[]): boolean {
  return [0, 1].every((axis) => {
    const padded = size[axis] + pads[axis] + Math.max(0, pads[axis + 2]);
    return pads[axis] >= 0 && Math.floor((padded - kernel[axis]) / stride[axis]) + 1 === grid[axis];
  });
}
