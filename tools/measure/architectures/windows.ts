/** Transformers whose attention stays within windows: SwinV2, SAM's encoder, Hiera, MaxViT's partitions. */
import type { Net, Value } from './net.js';
import { add, matmul, mean, multiply, pad, reduce, reshape, roll, scale, slice } from './shapes.js';
import { softmax, toTokens, transpose, unbind } from './shapes.js';
import { attend, conv, layerNorm, layerNorm2d, linear, mergeHeads, mlp, normalize, qkv, relu } from './layers.js';
import type { Outputs } from './vit.js';

/** [batch, height, width, channels] to [batch · windows, side · side, channels]. */
export function partition(net: Net, x: Value, side: number): Value {
  const [batch, height, width, channels] = x.shape;
  const cut = reshape(net, x, [batch, height / side, side, width / side, side, channels]);
  return reshape(net, transpose(net, cut, [0, 1, 3, 2, 4, 5]), [-1, side * side, channels]);
}

/** The way back to a map of `height` × `width`. */
export function unpartition(net: Net, x: Value, side: number, height: number, width = height): Value {
  const channels = x.shape[2];
  const cut = reshape(net, x, [-1, height / side, width / side, side, side, channels]);
  return reshape(net, transpose(net, cut, [0, 1, 3, 2, 4, 5]), [-1, height, width, channels]);
}

/** Index into a table of (2·side − 1)² relative positions, [side², side²]. */
export function relativePositions(side: number): number[] {
  const tokens = side * side;
  return Array.from({ length: tokens * tokens }, (_, i) => {
    const [a, b] = [Math.floor(i / tokens), i % tokens];
    const down = Math.floor(a / side) - Math.floor(b / side) + side - 1;
    return down * (2 * side - 1) + (a % side) - (b % side) + side - 1;
  });
}

export interface SwinShape {
  readonly size: number;
  readonly width: number;
  readonly depths: readonly number[];
  readonly heads: readonly number[];
  readonly window: number;
  readonly classes: number;
}

/** SwinV2: cosine attention, positions from an MLP of their logarithms, norms after. */
export function swinV2(net: Net, { size, width, depths, heads, window, classes }: SwinShape): Outputs {
  let x = transpose(net, conv(net, net.image(size), width, { kernel: 4, stride: 4, padding: 0 }), [0, 2, 3, 1]);
  x = layerNorm(net, x, 1e-5);
  for (const [stage, depth] of depths.entries()) {
    if (stage > 0) x = mergePatches(net, x);
    for (let i = 0; i < depth; i++) x = swinBlock(net, x, heads[stage], window, i % 2 === 1);
  }
  return { logits: linear(net, mean(net, layerNorm(net, x, 1e-5), [1, 2]), classes) };
}

/** Four neighbours side by side, half as many channels. */
function mergePatches(net: Net, x: Value): Value {
  const [batch, height, width, channels] = x.shape;
  const cut = reshape(net, x, [batch, height / 2, 2, width / 2, 2, channels]);
  const merged = reshape(net, transpose(net, cut, [0, 1, 3, 4, 2, 5]), [batch, height / 2, width / 2, 4 * channels]);
  return layerNorm(net, linear(net, merged, 2 * channels, { bias: false }), 1e-5);
}

function swinBlock(net: Net, x: Value, heads: number, window: number, isShifted: boolean): Value {
  const [batch, height, width, channels] = x.shape;
  const side = Math.min(window, height);
  const shift = isShifted && height > side ? Math.floor(side / 2) : 0;
  let y = x;
  if (shift > 0) for (const axis of [1, 2]) y = roll(net, y, axis, -shift);
  const mask = shift > 0 ? shiftMask(net, height, side, shift) : null;
  y = cosineAttention(net, partition(net, y, side), heads, side, mask);
  y = unpartition(net, y, side, height, width);
  if (shift > 0) for (const axis of [1, 2]) y = roll(net, y, axis, shift);
  const attended = add(net, x, layerNorm(net, y, 1e-5));
  const tokens = reshape(net, attended, [batch, height * width, channels]);
  const mixed = add(net, tokens, layerNorm(net, mlp(net, tokens, 4 * channels), 1e-5));
  return reshape(net, mixed, x.shape);
}

function cosineAttention(net: Net, x: Value, heads: number, side: number, mask: Value | null): Value {
  const { q, k, v } = qkv(net, x, heads);
  const turnedKeys = transpose(net, normalize(net, k, 3), [0, 1, 3, 2]);
  const limit = net.weight(
    net.spread(heads, 0.3, 10).map((s) => Math.min(s, 100)),
    [heads, 1, 1],
  );
  let scores = multiply(net, matmul(net, normalize(net, q, 3), turnedKeys), limit);
  scores = add(net, scores, continuousBias(net, heads, side));
  if (mask !== null) {
    const [windows, tokens] = mask.shape;
    const split = reshape(net, scores, [-1, windows, heads, tokens, tokens]);
    scores = reshape(net, add(net, split, reshape(net, mask, [1, windows, 1, tokens, tokens])), scores.shape);
  }
  return linear(net, mergeHeads(net, matmul(net, softmax(net, scores), v)), x.shape[2]);
}

/** The bias of every pair of tokens, by a network of constants that the exporter leaves in the file. */
function continuousBias(net: Net, heads: number, side: number): Value {
  const across = 2 * side - 1;
  const log = (at: number): number =>
    (Math.sign(at) * Math.log2(Math.abs((8 * at) / Math.max(1, side - 1)) + 1)) / Math.log2(8);
  const table = Float32Array.from({ length: across * across * 2 }, (_, i) =>
    log((i % 2 === 0 ? Math.floor(i / 2 / across) : (i >> 1) % across) - side + 1),
  );
  const hidden = relu(net, linear(net, net.constant(table, [1, across, across, 2]), 512));
  const flat = reshape(net, linear(net, hidden, heads, { bias: false }), [-1, heads]);
  const tokens = side * side;
  const picked = net.op('Gather', [flat, net.integers(relativePositions(side))], [tokens * tokens, heads], { axis: 0 });
  const bias = transpose(net, reshape(net, picked, [tokens, tokens, heads]), [2, 0, 1]);
  const bounded = scale(net, net.op('Sigmoid', [bias], bias.shape), 16);
  return net.op('Unsqueeze', [bounded, net.integers([0])], [1, heads, tokens, tokens]);
}

/** -100 between tokens that the roll brought together, [windows, side², side²]. */
function shiftMask(net: Net, size: number, side: number, shift: number): Value {
  const region = (at: number): number => (at < size - side ? 0 : at < size - shift ? 1 : 2);
  const [across, tokens] = [size / side, side * side];
  const of = (window: number, token: number): number => {
    const y = Math.floor(window / across) * side + Math.floor(token / side);
    const x = (window % across) * side + (token % side);
    return 3 * region(y) + region(x);
  };
  const data = Float32Array.from({ length: across * across * tokens * tokens }, (_, i) => {
    const window = Math.floor(i / (tokens * tokens));
    return of(window, Math.floor(i / tokens) % tokens) === of(window, i % tokens) ? 0 : -100;
  });
  return net.constant(data, [across * across, tokens, tokens]);
}

export interface SamShape {
  readonly size: number;
  readonly patch: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly window: number;
  /** Blocks that attend to the whole map. */
  readonly global: readonly number[];
  readonly neck: number;
}

/** SAM's image encoder: windows of a padded map, positions decomposed into rows and columns, a convolutional neck. */
export function samEncoder(net: Net, { size, patch, width, depth, heads, window, global, neck }: SamShape): Outputs {
  const image = conv(net, net.image(size), width, { kernel: patch, stride: patch, padding: 0 });
  let x = transpose(net, image, [0, 2, 3, 1]);
  const [batch, side] = x.shape;
  x = add(net, x, net.noise([1, side, side, width], 0.5));
  for (let i = 0; i < depth; i++) {
    let y = layerNorm(net, x);
    if (global.includes(i)) {
      y = decomposedAttention(net, reshape(net, y, [batch, side * side, width]), heads, side);
      y = reshape(net, y, x.shape);
    } else {
      const extra = (window - (side % window)) % window;
      if (extra > 0)
        y = pad(net, y, [
          [1, 0, extra],
          [2, 0, extra],
        ]);
      const full = side + extra;
      y = unpartition(net, decomposedAttention(net, partition(net, y, window), heads, window), window, full);
      if (extra > 0) y = slice(net, slice(net, y, 1, 0, side), 2, 0, side);
    }
    x = add(net, x, y);
    x = add(net, x, mlp(net, layerNorm(net, x), 4 * width));
  }
  let map = transpose(net, x, [0, 3, 1, 2]);
  map = layerNorm2d(net, conv(net, map, neck, { bias: false }));
  return { image_embeddings: layerNorm2d(net, conv(net, map, neck, { kernel: 3, bias: false })) };
}

/** Scores get q's products with a table of rows and a table of columns added. */
function decomposedAttention(net: Net, x: Value, heads: number, side: number): Value {
  const { q, k, v } = qkv(net, x, heads);
  const [batch, , tokens, dim] = q.shape;
  const table = (): Value => {
    const all = net.weight(net.normal((2 * side - 1) * dim, dim ** -0.5), [2 * side - 1, dim]);
    const index = Array.from({ length: side * side }, (_, i) => Math.floor(i / side) - (i % side) + side - 1);
    return net.op('Gather', [all, net.integers(index, [side, side])], [side, side, dim], { axis: 0 });
  };
  const map = reshape(net, q, [batch * heads, side, side, dim]);
  const shape = [batch * heads, side, side, side];
  const down = net.op('Einsum', [map, table()], shape, { equation: 'bhwc,hkc->bhwk' });
  const across = net.op('Einsum', [map, table()], shape, { equation: 'bhwc,wkc->bhwk' });
  const lift = (value: Value, axis: number): Value =>
    net.op('Unsqueeze', [value, net.integers([axis])], value.shape.toSpliced(axis, 0, 1));
  const bias = reshape(net, add(net, lift(down, 4), lift(across, 3)), [batch, heads, tokens, tokens]);
  return linear(net, attend(net, { q, k, v }, bias), x.shape[2]);
}

export interface HieraShape {
  readonly size: number;
  readonly width: number;
  readonly depths: readonly number[];
  readonly classes: number;
}

/** Hiera: tokens in the order of their mask units, queries pooled by maximum. */
export function hiera(net: Net, { size, width, depths, classes }: HieraShape): Outputs {
  let x = toTokens(net, conv(net, net.image(size), width, { kernel: 7, stride: 4, padding: 3 }));
  x = add(net, x, net.noise([1, x.shape[1], width], 0.5));
  x = unroll(net, x, size / 4, 3);
  const unit = { tokens: 64, isLocal: true };
  for (const [stage, depth] of depths.entries()) {
    for (let i = 0; i < depth; i++) {
      const pools = stage > 0 && i === 0;
      if (pools) unit.tokens /= 4;
      x = hieraBlock(net, x, { heads: 2 ** stage, pools, window: unit.isLocal ? unit.tokens : 0 });
      // The first block of a stage still attends as the stage before.
      unit.isLocal = stage < 2;
    }
  }
  return { logits: linear(net, layerNorm(net, mean(net, x, [1])), classes) };
}

/** Neighbours that are pooled later lie a constant distance apart. */
function unroll(net: Net, x: Value, side: number, times: number): Value {
  const [images, tokens, channels] = x.shape;
  let map = reshape(net, x, [images, side, side, channels]);
  for (let i = 0, at = side; i < times; i++, at /= 2) {
    const cut = reshape(net, map, [-1, at / 2, 2, at / 2, 2, channels]);
    const moved = transpose(net, cut, [0, 2, 4, 1, 3, 5]);
    map = reshape(net, moved, [-1, at / 2, at / 2, channels]);
  }
  return reshape(net, map, [images, tokens, channels]);
}

interface HieraBlock {
  readonly heads: number;
  readonly pools: boolean;
  /** Tokens of a mask unit after pooling; 0: all attend to all. */
  readonly window: number;
}

function hieraBlock(net: Net, x: Value, { heads, pools, window }: HieraBlock): Value {
  const [batch, tokens, channels] = x.shape;
  const width = pools ? 2 * channels : channels;
  const y = layerNorm(net, x);
  const kept = pools ? tokens / 4 : tokens;
  const pooled = (value: Value): Value => reduce(net, 'ReduceMax', reshape(net, value, [batch, 4, -1, width]), [1]);
  const shortcut = pools ? pooled(linear(net, y, width)) : x;
  const windows = window === 0 ? 1 : kept / window;
  const packed = reshape(net, linear(net, y, 3 * width, { gain: 1.4 }), [batch, -1, windows, 3, heads, width / heads]);
  const [query, k, v] = unbind(net, transpose(net, packed, [3, 0, 4, 2, 1, 5]), 0);
  let q = query;
  if (pools) q = reduce(net, 'ReduceMax', reshape(net, q, [batch, heads, windows, 4, -1, width / heads]), [3]);
  const scores = matmul(net, scale(net, q, (width / heads) ** -0.5), transpose(net, k, [0, 1, 2, 4, 3]));
  const mixed = matmul(net, softmax(net, scores), v);
  const joined = reshape(net, transpose(net, mixed, [0, 3, 2, 1, 4]), [batch, -1, width]);
  const attended = add(net, shortcut, linear(net, joined, width));
  return add(net, attended, mlp(net, layerNorm(net, attended), 4 * width));
}
