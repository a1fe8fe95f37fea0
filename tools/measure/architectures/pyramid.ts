/** Transformers on maps of several sizes, and dense heads: PVTv2, SegFormer, XCiT, MaxViT, Depth Anything. */
import type { Net, Value } from './net.js';
import { add, concat, matmul, mean, multiply, pad, prepend, reshape, slice, softmax, toMap } from './shapes.js';
import { toTokens, transpose } from './shapes.js';
import {
  attend,
  batchNorm,
  conv,
  convNorm,
  deconv,
  firstToken,
  gelu,
  geluTanh,
  layerNorm,
  layerNorm2d,
  layerScale,
  linear,
  mlp,
  normalize,
  patches,
  qkv,
  relu,
  silu,
  squeezeExcite,
  tanh,
} from './layers.js';
import type { Outputs } from './vit.js';
import { classAttention } from './vit.js';
import { partition, relativePositions, unpartition } from './windows.js';

export interface PyramidShape {
  readonly size: number;
  readonly widths: readonly number[];
  readonly heads: readonly number[];
  readonly depths: readonly number[];
  readonly ratios: readonly number[];
}

/** How many times fewer keys than queries there are, a side. */
const REDUCTION = [8, 4, 2, 1];

/** The maps of PVTv2's and SegFormer's four stages: overlapping patches, fewer keys, convolutions inside the MLPs. */
function pyramid(net: Net, { size, widths, heads, depths, ratios }: PyramidShape): Value[] {
  const maps: Value[] = [];
  let map = net.image(size);
  for (const [stage, width] of widths.entries()) {
    map = conv(net, map, width, stage === 0 ? { kernel: 7, stride: 4 } : { kernel: 3, stride: 2 });
    const side = map.shape[2];
    let x = layerNorm(net, toTokens(net, map), 1e-5);
    for (let i = 0; i < depths[stage]; i++) {
      x = add(net, x, reducedAttention(net, layerNorm(net, x), side, heads[stage], REDUCTION[stage]));
      const wide = toMap(net, linear(net, layerNorm(net, x), ratios[stage] * width), side);
      const mixed = gelu(net, toTokens(net, conv(net, wide, wide.shape[1], { kernel: 3, groups: wide.shape[1] })));
      x = add(net, x, linear(net, mixed, width));
    }
    map = toMap(net, layerNorm(net, x), side);
    maps.push(map);
  }
  return maps;
}

function reducedAttention(net: Net, x: Value, side: number, heads: number, reduction: number): Value {
  const [batch, , width] = x.shape;
  const cut = (value: Value): Value =>
    transpose(net, reshape(net, value, [batch, -1, heads, width / heads]), [0, 2, 1, 3]);
  const q = cut(linear(net, x, width, { gain: 1.4 }));
  let source = x;
  if (reduction > 1) {
    const few = conv(net, toMap(net, x, side), width, { kernel: reduction, stride: reduction, padding: 0, gain: 2 });
    source = layerNorm(net, toTokens(net, few), 1e-5);
  }
  const [k, v] = [linear(net, source, width, { gain: 1.4 }), linear(net, source, width)].map(cut);
  return linear(net, attend(net, { q, k, v }), width);
}

export function pvtV2(net: Net, shape: PyramidShape): Outputs {
  const last = pyramid(net, shape).at(-1)!;
  return { logits: linear(net, mean(net, toTokens(net, last), [1]), 1000) };
}

/** Any size of a map to another, bilinear. */
function resize(net: Net, x: Value, size: readonly [number, number], alignsCorners = false): Value {
  const shape = [x.shape[0], x.shape[1], ...size];
  return net.op('Resize', [x, '', '', net.integers(shape)], shape, {
    coordinate_transformation_mode: alignsCorners ? 'align_corners' : 'half_pixel',
    cubic_coeff_a: { float: -0.75 },
    mode: 'linear',
    nearest_mode: 'floor',
  });
}

/** SegFormer with its decoder of linear layers: class maps of a quarter of the image's size. */
export function segFormer(net: Net, shape: PyramidShape, width: number, classes: number): Outputs {
  const maps = pyramid(net, shape);
  const side = maps[0].shape[2];
  const same = maps.map((map) => {
    const flat = linear(net, toTokens(net, map), width);
    return resize(net, toMap(net, flat, map.shape[2]), [side, side]);
  });
  const fused = convNorm(net, concat(net, same.reverse(), 1), width, { act: relu });
  return { logits: conv(net, fused, classes) };
}

export interface XcitShape {
  readonly size: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
}

/** XCiT: channels attend to channels; a class token joins at the end. */
export function xcit(net: Net, { size, width, depth, heads }: XcitShape): Outputs {
  let map = net.image(size);
  for (let i = 3; i >= 0; i--)
    map = convNorm(net, map, width / 2 ** i, { kernel: 3, stride: 2, act: i > 0 ? gelu : undefined });
  const side = map.shape[2];
  let x = add(net, toTokens(net, map), toTokens(net, fourier(net, width, side)));
  for (let i = 0; i < depth; i++) {
    x = add(net, x, layerScale(net, channelAttention(net, layerNorm(net, x), heads), 0.7));
    x = add(net, x, layerScale(net, localMix(net, layerNorm(net, x), side), 0.7));
    x = add(net, x, layerScale(net, mlp(net, layerNorm(net, x), 4 * width), 0.7));
  }
  x = prepend(net, x, net.noise([1, 1, width], 1));
  for (let i = 0; i < 2; i++) {
    const y = layerNorm(net, x);
    const attended = concat(net, [classAttention(net, y, heads), slice(net, y, 1, 1)], 1);
    x = add(net, x, layerScale(net, attended, 0.7));
    const rest = slice(net, x, 1, 1);
    const first = layerNorm(net, slice(net, x, 1, 0, 1));
    const mixed = layerScale(net, mlp(net, first, 4 * width), 0.7);
    x = add(net, concat(net, [first, rest], 1), concat(net, [mixed, rest], 1));
  }
  return { logits: linear(net, firstToken(net, layerNorm(net, x)), 1000) };
}

/** Sines and cosines of both coordinates through a 1×1 convolution: constant, but the exporter leaves it to run. */
function fourier(net: Net, width: number, side: number, bands = 32): Value {
  const data = Float32Array.from({ length: 2 * bands * side * side }, (_, i) => {
    const [channel, at] = [Math.floor(i / (side * side)), i % (side * side)];
    const position = channel < bands ? Math.floor(at / side) : at % side;
    const angle = (2 * Math.PI * (position + 1)) / side / 10000 ** ((2 * ((channel % bands) >> 1)) / bands);
    return channel % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  });
  return conv(net, net.constant(data, [1, 2 * bands, side, side]), width);
}

function channelAttention(net: Net, x: Value, heads: number): Value {
  const [batch, tokens, width] = x.shape;
  const packed = reshape(net, linear(net, x, 3 * width), [batch, tokens, 3, heads, width / heads]);
  const moved = transpose(net, packed, [2, 0, 3, 4, 1]);
  const [q, k, v] = [0, 1, 2].map((i) =>
    net.op('Gather', [moved, net.integers([i], [])], moved.shape.slice(1), { axis: 0 }),
  );
  const scores = matmul(net, normalize(net, q, 3), transpose(net, normalize(net, k, 3), [0, 1, 3, 2]));
  const temperature = net.weight(net.spread(heads, 0.5, 4), [heads, 1, 1]);
  const mixed = matmul(net, softmax(net, multiply(net, scores, temperature)), v);
  return linear(net, reshape(net, transpose(net, mixed, [0, 3, 1, 2]), [batch, tokens, width]), width);
}

/** Two depthwise convolutions over the tokens' map. */
function localMix(net: Net, x: Value, side: number): Value {
  const groups = x.shape[2];
  const first = batchNorm(net, gelu(net, conv(net, toMap(net, x, side), groups, { kernel: 3, groups })));
  return toTokens(net, conv(net, first, groups, { kernel: 3, groups }));
}

export interface MaxVitShape {
  readonly size: number;
  readonly stem: number;
  readonly widths: readonly number[];
  readonly depths: readonly number[];
  readonly window: number;
  readonly hidden: number;
}

/** MaxViT as TensorFlow has it: paddings of one side, attention in windows and then in grids. */
export function maxVit(net: Net, { size, stem, widths, depths, window, hidden }: MaxVitShape): Outputs {
  let x = geluTanh(net, batchNorm(net, conv(net, oneSided(net, net.image(size)), stem, THIN)));
  x = conv(net, x, stem, { kernel: 3 });
  for (const [stage, width] of widths.entries()) {
    for (let i = 0; i < depths[stage]; i++) {
      x = maxVitConv(net, x, width, i === 0 ? 2 : 1);
      const rows = transpose(net, x, [0, 2, 3, 1]);
      x = transpose(net, partitioned(net, partitioned(net, rows, window, false), window, true), [0, 3, 1, 2]);
    }
  }
  const pooled = reshape(net, layerNorm2d(net, mean(net, x, [2, 3], true), 1e-5), [x.shape[0], -1]);
  return { logits: linear(net, tanh(net, linear(net, pooled, hidden)), 1000) };
}

const THIN = { kernel: 3, stride: 2, padding: 0 };

/** One row and one column of zeros behind the map, as `SAME` adds for stride 2. */
const oneSided = (net: Net, x: Value): Value =>
  pad(net, x, [
    [2, 0, 1],
    [3, 0, 1],
  ]);

function maxVitConv(net: Net, x: Value, channels: number, stride: number): Value {
  let shortcut = x;
  if (stride > 1) {
    const shape = [x.shape[0], x.shape[1], x.shape[2] / 2, x.shape[3] / 2];
    const window = { kernel_shape: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0], ceil_mode: 0, count_include_pad: 1 };
    shortcut = net.op('AveragePool', [x], shape, window);
    if (channels !== x.shape[1]) shortcut = conv(net, shortcut, channels);
  }
  const hidden = 4 * channels;
  let y = convNorm(net, batchNorm(net, x), hidden, { act: geluTanh });
  y = conv(net, stride > 1 ? oneSided(net, y) : y, hidden, {
    ...(stride > 1 ? THIN : { kernel: 3 }),
    groups: hidden,
    bias: false,
  });
  y = squeezeExcite(net, geluTanh(net, batchNorm(net, y)), channels / 4, silu);
  return add(net, conv(net, y, channels), shortcut);
}

/** Attention and MLP over windows of neighbours, or over grids of pixels far apart. */
function partitioned(net: Net, x: Value, window: number, isGrid: boolean): Value {
  const [batch, side, , channels] = x.shape;
  const y = layerNorm(net, x, 1e-5);
  const step = side / window;
  const tokens = isGrid
    ? reshape(net, transpose(net, reshape(net, y, [batch, window, step, window, step, channels]), [0, 2, 4, 1, 3, 5]), [
        -1,
        window * window,
        channels,
      ])
    : partition(net, y, window);
  const heads = channels / 32;
  const table = net.noise([(2 * window - 1) ** 2, heads], 0.7);
  const all = window * window;
  const bias = net.op('Gather', [table, net.integers(relativePositions(window))], [all * all, heads], { axis: 0 });
  const lifted = transpose(net, reshape(net, bias, [all, all, heads]), [2, 0, 1]);
  const shaped = net.op('Unsqueeze', [lifted, net.integers([0])], [1, heads, all, all]);
  const mixed = linear(net, attend(net, qkv(net, tokens, heads), shaped), channels);
  const cut = isGrid ? reshape(net, mixed, [-1, step, step, window, window, channels]) : mixed;
  const back = isGrid
    ? reshape(net, transpose(net, cut, [0, 3, 1, 4, 2, 5]), [-1, side, side, channels])
    : unpartition(net, mixed, window, side);
  const attended = add(net, x, back);
  return add(net, attended, mlp(net, layerNorm(net, attended, 1e-5), 4 * channels, { act: geluTanh }));
}

export interface DepthShape {
  readonly size: number;
  readonly patch: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  /** Blocks whose tokens the head reads. */
  readonly taps: readonly number[];
  /** Channels of the maps that the tokens become, of their fusion, of the last convolution. */
  readonly neck: readonly number[];
  readonly fusion: number;
  readonly head: number;
}

/** Depth Anything: DINOv2 with LayerScale, and the whole DPT head. */
export function depthAnything(net: Net, shape: DepthShape): Outputs {
  const { size, patch, width, depth, heads, taps, neck, fusion, head } = shape;
  let x = prepend(net, patches(net, net.image(size), width, patch), net.noise([1, 1, width], 1));
  x = add(net, x, net.noise([1, x.shape[1], width], 0.5));
  const tapped: Value[] = [];
  for (let i = 0; i < depth; i++) {
    const attended = linear(net, attend(net, qkv(net, layerNorm(net, x), heads)), width);
    x = add(net, x, layerScale(net, attended, 0.5));
    x = add(net, x, layerScale(net, mlp(net, layerNorm(net, x), 4 * width), 0.5));
    if (taps.includes(i)) tapped.push(x);
  }
  const side = size / patch;
  const maps = tapped.map((tokens, level) => reassemble(net, layerNorm(net, tokens), side, neck[level], level));
  const layers = maps.map((map) => conv(net, map, fusion, { kernel: 3, bias: false }));
  let fused: Value | null = null;
  for (let level = layers.length - 1; level >= 0; level--) {
    const target = level > 0 ? layers[level - 1].shape[2] : 2 * layers[0].shape[2];
    fused = fuse(net, layers[level], fused, target);
  }
  let y = resize(net, conv(net, fused!, fusion / 2, { kernel: 3 }), [size, size], true);
  y = relu(net, conv(net, y, head, { kernel: 3 }));
  // With these weights all depths are below zero, so nothing would pass the ReLU: hence the sign.
  const map = relu(net, conv(net, y, 1, { gain: -1.4 }));
  return { predicted_depth: net.op('Squeeze', [map, net.integers([1])], [map.shape[0], size, size]) };
}

/** Tokens without the class token as a map, 4, 2, 1 or 1/2 times as large. */
function reassemble(net: Net, tokens: Value, side: number, channels: number, level: number): Value {
  const map = conv(net, toMap(net, slice(net, tokens, 1, 1), side), channels);
  if (level < 2) return deconv(net, map, channels, { kernel: 4 >> level, stride: 4 >> level });
  return level === 2 ? map : conv(net, map, channels, { kernel: 3, stride: 2 });
}

/** The map of one level joins what came from the levels below. */
function fuse(net: Net, x: Value, below: Value | null, target: number): Value {
  const joined = below === null ? x : add(net, below, residualUnit(net, x));
  const resized = resize(net, residualUnit(net, joined), [target, target], true);
  return conv(net, resized, x.shape[1]);
}

function residualUnit(net: Net, x: Value): Value {
  const channels = x.shape[1];
  const first = conv(net, relu(net, x), channels, { kernel: 3, gain: 1.4 });
  return add(net, conv(net, relu(net, first), channels, { kernel: 3 }), x);
}
