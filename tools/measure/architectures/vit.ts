/** Plain transformers, with today's positions, gates and heads. */
import type { Net, Value } from './net.js';
import { add, concat, matmul, mean, multiply, prepend, reshape, scale, slice, softmax } from './shapes.js';
import { split, toMap, transpose } from './shapes.js';
import {
  attend,
  batchNorm,
  block,
  conv,
  deconv,
  firstToken,
  layerNorm,
  layerScale,
  linear,
  mergeHeads,
  mlp,
  patches,
  qkv,
  relu,
  sigmoid,
  silu,
  turned,
} from './layers.js';
import type { AttentionParts } from './layers.js';

export type Outputs = Readonly<Record<string, Value>>;

export interface VitShape {
  readonly size: readonly [number, number];
  readonly patch: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
}

interface Rotary {
  readonly sin: Value;
  readonly cos: Value;
  /** Tokens before the patches, which are not turned. */
  readonly prefix: number;
  readonly interleaved: boolean;
}

/** Tables of an axial rotary embedding: rows are patches, half of the channels turn with y and half with x. */
function rotary(net: Net, { size, patch, width, heads }: VitShape, prefix: number, interleaved: boolean): Rotary {
  const dim = width / heads;
  const [rows, cols] = size.map((s) => s / patch);
  const bands = dim / 4;
  const angle = (token: number, channel: number): number => {
    const at = interleaved ? Math.floor(channel / 2) : channel % (dim / 2);
    const position = at < bands ? Math.floor(token / cols) / rows : (token % cols) / cols;
    return 2 * Math.PI * (2 * position - 1) * 100 ** -((at % bands) / bands);
  };
  const table = (f: (angle: number) => number): Value =>
    net.constant(
      Float32Array.from({ length: rows * cols * dim }, (_, i) => f(angle(Math.floor(i / dim), i % dim))),
      [rows * cols, dim],
    );
  return { sin: table(Math.sin), cos: table(Math.cos), prefix, interleaved };
}

function turn(net: Net, x: Value, { sin, cos, prefix, interleaved }: Rotary): Value {
  const patchTokens = prefix === 0 ? x : slice(net, x, 2, prefix);
  const moved = multiply(net, turned(net, patchTokens, interleaved), sin);
  const rotated = add(net, multiply(net, patchTokens, cos), moved);
  return prefix === 0 ? rotated : concat(net, [slice(net, x, 2, 0, prefix), rotated], 2);
}

const turnBoth = (net: Net, { q, k, v }: AttentionParts, by: Rotary): AttentionParts => ({
  q: turn(net, q, by),
  k: turn(net, k, by),
  v,
});

/** DINOv3: rotary halves on the patches, a class token and four registers, LayerScale; the pooled features. */
export function dinov3(net: Net, shape: VitShape, registers = 4): Outputs {
  const { size, width, depth, heads, patch } = shape;
  let x = patches(net, net.image(...size), width, patch);
  const turns = rotary(net, shape, registers + 1, false);
  x = prepend(net, x, concat(net, [net.noise([1, 1, width], 1), net.noise([1, registers, width], 1)], 1));
  for (let i = 0; i < depth; i++) {
    const parts = turnBoth(net, qkv(net, layerNorm(net, x, 1e-5), heads, { bias: false }), turns);
    x = add(net, x, layerScale(net, linear(net, attend(net, parts), width), 0.5));
    x = add(net, x, layerScale(net, mlp(net, layerNorm(net, x, 1e-5), 4 * width), 0.5));
  }
  return { features: mean(net, slice(net, layerNorm(net, x, 1e-5), 1, registers + 1), [1]) };
}

/** EVA-02: rotary pairs, SwiGLU with two projections, a learned position as well. */
export function eva02(net: Net, shape: VitShape, hidden: number): Outputs {
  const { size, width, depth, heads, patch } = shape;
  const turns = rotary(net, shape, 1, true);
  let x = prepend(net, patches(net, net.image(...size), width, patch), net.noise([1, 1, width], 1));
  x = add(net, x, net.noise([1, x.shape[1], width], 0.5));
  for (let i = 0; i < depth; i++) {
    const parts = turnBoth(net, qkv(net, layerNorm(net, x), heads), turns);
    x = add(net, x, linear(net, attend(net, parts), width));
    const y = layerNorm(net, x);
    const gated = multiply(net, silu(net, linear(net, y, hidden)), linear(net, y, hidden));
    x = add(net, x, linear(net, gated, width));
  }
  return { features: layerNorm(net, mean(net, slice(net, x, 1, 1), [1])) };
}

/** Perception Encoder: a norm first, rotary pairs, attention pooling, a projection without bias. */
export function peCore(net: Net, shape: VitShape, embedding: number, poolHeads = 8): Outputs {
  const { size, width, depth, heads, patch } = shape;
  const turns = rotary(net, shape, 1, true);
  let x = prepend(net, patches(net, net.image(...size), width, patch), net.noise([1, 1, width], 1));
  x = layerNorm(net, add(net, x, net.noise([1, x.shape[1], width], 0.5)), 1e-5);
  for (let i = 0; i < depth; i++) {
    const parts = turnBoth(net, qkv(net, layerNorm(net, x, 1e-5), heads), turns);
    x = add(net, x, linear(net, attend(net, parts), width));
    x = add(net, x, mlp(net, layerNorm(net, x, 1e-5), 4 * width));
  }
  const pooled = attentionPool(net, layerNorm(net, x, 1e-5), poolHeads);
  return { image_features: linear(net, pooled, embedding, { bias: false }) };
}

/** One learned query attends to all tokens; an MLP follows. */
function attentionPool(net: Net, x: Value, heads: number): Value {
  const [batch, tokens, width] = x.shape;
  const latent = net.op('Expand', [net.noise([1, 1, width], 1), net.integers([batch, 1, width])], [batch, 1, width]);
  const cut = (value: Value): Value => reshape(net, value, [batch, -1, heads, width / heads]);
  const q = transpose(net, cut(linear(net, latent, width)), [0, 2, 1, 3]);
  const kv = reshape(net, linear(net, x, 2 * width), [batch, tokens, 2, heads, width / heads]);
  const [k, v] = split(net, transpose(net, kv, [2, 0, 3, 1, 4]), 0, [1, 1]).map((part) =>
    net.op('Squeeze', [part, net.integers([0])], part.shape.slice(1)),
  );
  const attended = linear(net, attend(net, { q, k, v }), width);
  return firstToken(net, add(net, attended, mlp(net, layerNorm(net, attended, 1e-5), 4 * width)));
}

/** YOLOS: detection tokens behind the patches; classes and boxes from an MLP each. */
export function yolos(net: Net, shape: VitShape, queries: number, classes: number): Outputs {
  const { size, width, depth, heads, patch } = shape;
  const image = prepend(net, patches(net, net.image(...size), width, patch), net.noise([1, 1, width], 1));
  const wanted = [image.shape[0], queries, width];
  const tokens = net.op('Expand', [net.noise([1, queries, width], 1), net.integers(wanted)], wanted);
  let x = concat(net, [image, tokens], 1);
  x = add(net, x, resizedPositions(net, width, queries, [size[0] / patch, size[1] / patch]));
  for (let i = 0; i < depth; i++) x = block(net, x, heads, 4 * width);
  x = slice(net, layerNorm(net, x), 1, image.shape[1]);
  const head = (cols: number): Value => {
    const first = relu(net, linear(net, x, width, { gain: 1.4 }));
    return linear(net, relu(net, linear(net, first, width, { gain: 1.4 })), cols, { gain: 1.4 });
  };
  return { logits: head(classes), pred_boxes: sigmoid(net, head(4)) };
}

/** Positions of a larger image's patches, resized to the image at hand: constant, but the exporter leaves it to run. */
function resizedPositions(net: Net, width: number, queries: number, size: readonly [number, number]): Value {
  const map = net.noise([1, width, 50, 83], 0.5);
  const shape = [1, width, ...size];
  const resized = net.op('Resize', [map, '', '', net.integers(shape)], shape, {
    coordinate_transformation_mode: 'half_pixel',
    cubic_coeff_a: { float: -0.75 },
    mode: 'cubic',
    nearest_mode: 'floor',
  });
  const patchTokens = transpose(net, reshape(net, resized, [1, width, -1]), [0, 2, 1]);
  return concat(net, [net.noise([1, 1, width], 0.5), patchTokens, net.noise([1, queries, width], 0.5)], 1);
}

/** ViTPose: the tokens as a map, two transposed convolutions, a heat map for each joint. */
export function vitPose(
  net: Net,
  { size, width, depth, heads, patch }: VitShape,
  joints: number,
  channels = 256,
): Outputs {
  const image = conv(net, net.image(...size), width, { kernel: patch, stride: patch, padding: 2 });
  const [, , rows, cols] = image.shape;
  let x = transpose(net, reshape(net, image, [image.shape[0], width, -1]), [0, 2, 1]);
  x = add(net, x, net.noise([1, rows * cols, width], 0.5));
  for (let i = 0; i < depth; i++) x = block(net, x, heads, 4 * width);
  let map = toMap(net, layerNorm(net, x), rows, cols);
  for (let i = 0; i < 2; i++) {
    map = deconv(net, map, channels, { kernel: 4, stride: 2, padding: 1, bias: false });
    map = relu(net, batchNorm(net, map));
  }
  return { heatmaps: conv(net, map, joints) };
}

/** Attention whose heads are mixed before and after the softmax. */
function talkingHeads(net: Net, x: Value, heads: number): Value {
  const { q, k, v } = qkv(net, x, heads);
  const mix = (scores: Value): Value =>
    transpose(net, linear(net, transpose(net, scores, [0, 2, 3, 1]), heads), [0, 3, 1, 2]);
  const scores = matmul(net, scale(net, q, q.shape[3] ** -0.5), transpose(net, k, [0, 1, 3, 2]));
  const weights = mix(softmax(net, mix(scores)));
  return linear(net, mergeHeads(net, matmul(net, weights, v)), x.shape[2]);
}

/** Attention of the class token alone, to all tokens; [batch, 1, width]. */
export function classAttention(net: Net, x: Value, heads: number): Value {
  const [batch, tokens, width] = x.shape;
  const cut = (value: Value, count: number): Value =>
    transpose(net, reshape(net, value, [batch, count, heads, width / heads]), [0, 2, 1, 3]);
  const first = net.op('Unsqueeze', [firstToken(net, x), net.integers([1])], [batch, 1, width]);
  const q = cut(linear(net, first, width, { gain: 1.4 }), 1);
  const k = cut(linear(net, x, width, { gain: 1.4 }), tokens);
  const v = cut(linear(net, x, width), tokens);
  return linear(net, attend(net, { q, k, v }), width);
}

/** CaiT: heads that talk, LayerScale, a class token that joins for the last blocks. */
export function cait(net: Net, shape: VitShape, classBlocks: number, classes: number): Outputs {
  const { size, width, depth, heads, patch } = shape;
  let x = patches(net, net.image(...size), width, patch);
  x = add(net, x, net.noise([1, x.shape[1], width], 0.5));
  for (let i = 0; i < depth; i++) {
    x = add(net, x, layerScale(net, talkingHeads(net, layerNorm(net, x), heads), 0.3));
    x = add(net, x, layerScale(net, mlp(net, layerNorm(net, x), 4 * width), 0.3));
  }
  const token = net.noise([1, 1, width], 1);
  let first = net.op('Expand', [token, net.integers([x.shape[0], 1, width])], [x.shape[0], 1, width]);
  for (let i = 0; i < classBlocks; i++) {
    const all = layerNorm(net, concat(net, [first, x], 1));
    first = add(net, first, layerScale(net, classAttention(net, all, heads), 0.5));
    first = add(net, first, layerScale(net, mlp(net, layerNorm(net, first), 4 * width), 0.5));
  }
  return { logits: linear(net, firstToken(net, layerNorm(net, concat(net, [first, x], 1))), classes) };
}
