/** LeViT, TinyViT and the two EfficientViTs: BatchNorm everywhere, attention on small maps or linear in the pixels. */
import type { Net, Value } from './net.js';
import {
  add,
  concat,
  matmul,
  mean,
  pad,
  reshape,
  scale,
  slice,
  softmax,
  split,
  toMap,
  toTokens,
  transpose,
} from './shapes.js';
import { divide } from './shapes.js';
import {
  attend,
  batchNorm,
  conv,
  convNorm,
  gelu,
  hardSwish,
  layerNorm,
  layerNorm2d,
  linear,
  mlp,
  relu,
  squeezeExcite,
} from './layers.js';
import { tableBias } from './mobile.js';
import type { Outputs } from './vit.js';
import { partition, unpartition } from './windows.js';

/** A linear layer without bias and a BatchNorm over its columns, on tokens. */
function linearNorm(net: Net, x: Value, cols: number, gain = 1): Value {
  const y = linear(net, x, cols, { bias: false });
  return reshape(net, batchNorm(net, reshape(net, y, [-1, cols]), gain), y.shape);
}

/** A BatchNorm and a linear layer. */
const normLinear = (net: Net, x: Value, classes: number): Value => linear(net, batchNorm(net, x), classes);

/** Of two heads, one of which learned from a teacher. */
const average = (net: Net, a: Value, b: Value): Value => divide(net, add(net, a, b), net.scalar(2));

export interface LevitShape {
  readonly size: number;
  readonly widths: readonly number[];
  readonly heads: readonly number[];
  readonly depths: readonly number[];
  readonly dim: number;
}

export function levit(net: Net, { size, widths, heads, depths, dim }: LevitShape): Outputs {
  let map = net.image(size);
  for (let i = 3; i >= 0; i--)
    map = convNorm(net, map, widths[0] / 2 ** i, { kernel: 3, stride: 2, act: i > 0 ? hardSwish : undefined });
  let side = map.shape[2];
  let x = toTokens(net, map);
  for (const [stage, width] of widths.entries()) {
    if (stage > 0) {
      x = levitDownsample(net, x, { side, width, heads: widths[stage - 1] / dim, dim });
      side = Math.ceil(side / 2);
      x = add(net, x, levitMlp(net, x));
    }
    for (let i = 0; i < depths[stage]; i++) {
      x = add(net, x, levitAttention(net, x, heads[stage], dim, side));
      x = add(net, x, levitMlp(net, x));
    }
  }
  const pooled = mean(net, x, [1]);
  return { logits: average(net, normLinear(net, pooled, 1000), normLinear(net, pooled, 1000)) };
}

const levitMlp = (net: Net, x: Value): Value =>
  linearNorm(net, hardSwish(net, linearNorm(net, x, 2 * x.shape[2])), x.shape[2], 0.3);

/** [batch, tokens, heads · channels] to [batch, heads, tokens, channels]. */
const cutHeads = (net: Net, x: Value, heads: number): Value =>
  transpose(net, reshape(net, x, [x.shape[0], x.shape[1], heads, -1]), [0, 2, 1, 3]);

function levitAttention(net: Net, x: Value, heads: number, dim: number, side: number): Value {
  const packed = cutHeads(net, linearNorm(net, x, heads * dim * 4), heads);
  const [q, k, v] = split(net, packed, 3, [dim, dim, 2 * dim]);
  const attended = attend(net, { q, k, v }, tableBias(net, heads, side));
  return linearNorm(net, hardSwish(net, attended), x.shape[2], 0.3);
}

/** Every second pixel of every second row asks all. */
function levitDownsample(
  net: Net,
  x: Value,
  { side, width, heads, dim }: { side: number; width: number; heads: number; dim: number },
): Value {
  const [batch, , channels] = x.shape;
  const [k, v] = split(net, cutHeads(net, linearNorm(net, x, heads * dim * 5), heads), 3, [dim, 4 * dim]);
  const map = reshape(net, x, [batch, side, side, channels]);
  const few = slice(net, slice(net, map, 1, 0, side, 2), 2, 0, side, 2);
  const queries = few.shape[1];
  const asked = linearNorm(net, reshape(net, few, [batch, queries * queries, channels]), heads * dim);
  const attended = attend(net, { q: cutHeads(net, asked, heads), k, v }, tableBias(net, heads, side, queries));
  return linearNorm(net, hardSwish(net, attended), width);
}

export interface TinyVitShape {
  readonly size: number;
  readonly widths: readonly number[];
  readonly heads: readonly number[];
  readonly depths: readonly number[];
  readonly windows: readonly number[];
}

export function tinyVit(net: Net, { size, widths, heads, depths, windows }: TinyVitShape): Outputs {
  let x = convNorm(net, net.image(size), widths[0] / 2, { kernel: 3, stride: 2, act: gelu });
  x = convNorm(net, x, widths[0], { kernel: 3, stride: 2 });
  for (let i = 0; i < depths[0]; i++) {
    let y = convNorm(net, x, 4 * widths[0], { act: gelu });
    y = convNorm(net, y, 4 * widths[0], { kernel: 3, groups: 4 * widths[0], act: gelu });
    x = gelu(net, add(net, x, convNorm(net, y, widths[0], { gain: 0.6 })));
  }
  for (let stage = 1; stage < widths.length; stage++) {
    const width = widths[stage];
    x = convNorm(net, x, width, { act: gelu });
    x = convNorm(net, convNorm(net, x, width, { kernel: 3, stride: 2, groups: width, act: gelu }), width);
    for (let i = 0; i < depths[stage]; i++) x = tinyVitBlock(net, x, heads[stage], windows[stage]);
  }
  const pooled = layerNorm2d(net, mean(net, x, [2, 3], true), 1e-5);
  return { logits: linear(net, reshape(net, pooled, [x.shape[0], -1]), 1000) };
}

/** Attention in windows, a depthwise convolution, an MLP. */
function tinyVitBlock(net: Net, x: Value, heads: number, window: number): Value {
  const [batch, channels, side] = x.shape;
  const rows = transpose(net, x, [0, 2, 3, 1]);
  const whole = window === side;
  const inside = whole ? reshape(net, rows, [batch, side * side, channels]) : partition(net, rows, window);
  const dim = channels / heads;
  const packed = cutHeads(net, linear(net, layerNorm(net, inside, 1e-5), 3 * channels, { gain: 1.4 }), heads);
  const [q, k, v] = split(net, packed, 3, [dim, dim, dim]);
  const attended = linear(net, attend(net, { q, k, v }, tableBias(net, heads, window)), channels);
  const back = whole ? reshape(net, attended, rows.shape) : unpartition(net, attended, window, side);
  const map = transpose(net, add(net, rows, back), [0, 3, 1, 2]);
  const local = convNorm(net, map, channels, { kernel: 3, groups: channels });
  const tokens = toTokens(net, local);
  const mixed = add(net, tokens, mlp(net, layerNorm(net, tokens, 1e-5), 4 * channels));
  return toMap(net, mixed, side);
}

/** MIT's EfficientViT: multi-scale linear attention with ReLU, hard-swish. */
export function efficientVitMit(net: Net, size: number, widths: readonly number[], depths: readonly number[]): Outputs {
  let x = convNorm(net, net.image(size), widths[0], { kernel: 3, stride: 2, act: hardSwish });
  for (let i = 0; i < depths[0]; i++) {
    const y = convNorm(net, x, widths[0], { kernel: 3, groups: widths[0], act: hardSwish });
    x = add(net, x, convNorm(net, y, widths[0], { gain: 0.6 }));
  }
  for (let stage = 1; stage < widths.length; stage++) {
    const attends = stage >= 3;
    x = mbConv(net, x, widths[stage], 2, attends);
    for (let i = attends ? 0 : 1; i < depths[stage]; i++) {
      if (attends) x = add(net, x, liteAttention(net, x));
      x = add(net, x, mbConv(net, x, widths[stage], 1, attends));
    }
  }
  x = mean(net, convNorm(net, x, 8 * widths.at(-1)!, { act: hardSwish }), [2, 3]);
  x = hardSwish(net, layerNorm(net, linear(net, x, 10 * widths.at(-1)!, { bias: false }), 1e-5));
  return { logits: linear(net, x, 1000) };
}

/** `plain`: biases in place of the first two norms. */
function mbConv(net: Net, x: Value, channels: number, stride: number, plain: boolean): Value {
  const hidden = 4 * x.shape[1];
  const depthwise = { kernel: 3, stride, groups: hidden };
  const y = plain
    ? hardSwish(net, conv(net, hardSwish(net, conv(net, x, hidden)), hidden, depthwise))
    : convNorm(net, convNorm(net, x, hidden, { act: hardSwish }), hidden, { ...depthwise, act: hardSwish });
  return convNorm(net, y, channels, { gain: 0.6 });
}

function liteAttention(net: Net, x: Value): Value {
  const [batch, channels, rows, cols] = x.shape;
  const dim = 16;
  const qkv = conv(net, x, 3 * channels, { bias: false });
  const wide = conv(net, qkv, 3 * channels, { kernel: 5, groups: 3 * channels, bias: false });
  const grouped = conv(net, wide, 3 * channels, { groups: (3 * channels) / dim, bias: false });
  const scales = reshape(net, concat(net, [qkv, grouped], 1), [batch, -1, 3 * dim, rows * cols]);
  const [q, k, v] = split(net, transpose(net, scales, [0, 1, 3, 2]), 3, [dim, dim, dim]);
  const ones = pad(net, v, [[3, 0, 1]], 1);
  const context = matmul(net, transpose(net, relu(net, k), [0, 1, 3, 2]), ones);
  const mixed = matmul(net, relu(net, q), context);
  const weight = add(net, slice(net, mixed, 3, dim, dim + 1), net.scalar(1e-5));
  const out = divide(net, slice(net, mixed, 3, 0, dim), weight);
  const map = reshape(net, transpose(net, out, [0, 1, 3, 2]), [batch, -1, rows, cols]);
  return convNorm(net, map, channels, { gain: 0.6 });
}

export interface MsraShape {
  readonly size: number;
  readonly widths: readonly number[];
  readonly heads: number;
  readonly depths: readonly number[];
  readonly window: number;
  readonly dim: number;
}

/** Microsoft's EfficientViT: cascaded group attention between depthwise convolutions and MLPs. */
export function efficientVitMsra(net: Net, shape: MsraShape): Outputs {
  const { size, widths, heads, depths, window, dim } = shape;
  let x = net.image(size);
  for (let i = 3; i >= 0; i--)
    x = convNorm(net, x, widths[0] / 2 ** i, { kernel: 3, stride: 2, act: i > 0 ? relu : undefined });
  for (const [stage, width] of widths.entries()) {
    if (stage > 0) x = msraDownsample(net, x, width);
    for (let i = 0; i < depths[stage]; i++) {
      x = localAndMlp(net, x);
      x = add(
        net,
        x,
        windowed(net, x, window, (part) => cascade(net, part, heads, dim)),
      );
      x = localAndMlp(net, x);
    }
  }
  return { logits: normLinear(net, mean(net, x, [2, 3]), 1000) };
}

function localAndMlp(net: Net, x: Value): Value {
  const channels = x.shape[1];
  const y = add(net, x, convNorm(net, x, channels, { kernel: 3, groups: channels, gain: 0.6 }));
  const wide = convNorm(net, y, 2 * channels, { act: relu });
  return add(net, y, convNorm(net, wide, channels, { gain: 0.6 }));
}

function msraDownsample(net: Net, x: Value, width: number): Value {
  const hidden = 4 * x.shape[1];
  let y = convNorm(net, localAndMlp(net, x), hidden, { act: relu });
  y = convNorm(net, y, hidden, { kernel: 3, stride: 2, groups: hidden, act: relu });
  return localAndMlp(net, convNorm(net, squeezeExcite(net, y, hidden / 4), width));
}

/** A map in windows, padded at its ends where they do not fit. */
function windowed(net: Net, x: Value, window: number, attention: (part: Value) => Value): Value {
  const [, channels, side] = x.shape;
  if (side <= window) return attention(x);
  const rows = transpose(net, x, [0, 2, 3, 1]);
  const tokens = partition(net, rows, window);
  const parts = transpose(net, reshape(net, tokens, [-1, window, window, channels]), [0, 3, 1, 2]);
  const mixed = transpose(net, attention(parts), [0, 2, 3, 1]);
  const back = unpartition(net, reshape(net, mixed, [-1, window * window, channels]), window, side);
  return transpose(net, back, [0, 3, 1, 2]);
}

/** Every head reads its share of the channels and what the head before made. */
function cascade(net: Net, x: Value, heads: number, dim: number): Value {
  const [batch, channels, side] = x.shape;
  const share = channels / heads;
  const parts = split(net, x, 1, new Array<number>(heads).fill(share));
  const outputs: Value[] = [];
  for (const part of parts) {
    const input = outputs.length === 0 ? part : add(net, outputs.at(-1)!, part);
    const packed = convNorm(net, input, 2 * dim + share, { gain: 1.4 });
    const [query, k, v] = split(net, packed, 1, [dim, dim, share]);
    const q = convNorm(net, query, dim, { kernel: 5, groups: dim, gain: 1.4 });
    const flat = (value: Value): Value => reshape(net, value, [batch, value.shape[1], side * side]);
    const scores = matmul(net, transpose(net, scale(net, flat(q), dim ** -0.5), [0, 2, 1]), flat(k));
    const bias = tableBias(net, 1, side);
    const weights = softmax(net, add(net, scores, reshape(net, bias, bias.shape.slice(1))));
    const mixed = matmul(net, flat(v), transpose(net, weights, [0, 2, 1]));
    outputs.push(reshape(net, mixed, [batch, share, side, side]));
  }
  return convNorm(net, relu(net, concat(net, outputs, 1)), channels, { gain: 0.6 });
}
