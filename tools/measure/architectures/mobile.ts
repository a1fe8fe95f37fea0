/** Hybrids for phones: MobileViT and its second version, EfficientFormer, FastViT. */
import type { Net, Value } from './net.js';
import { add, concat, mean, multiply, reshape, softmax, split, subtract, toTokens, transpose } from './shapes.js';
import {
  attend,
  batchNorm,
  block,
  conv,
  convMlp,
  convNorm,
  gelu,
  groupNorm,
  layerNorm,
  layerScale,
  layerScale2d,
  linear,
  mlp,
  relu,
  silu,
  squeezeExcite,
} from './layers.js';
import type { Activation } from './layers.js';
import type { Outputs } from './vit.js';

/** MobileNet's block: wider, depthwise, narrow again. */
function inverted(net: Net, x: Value, channels: number, stride: number, ratio: number): Value {
  let y = convNorm(net, x, ratio * x.shape[1], { act: silu });
  y = convNorm(net, y, y.shape[1], { kernel: 3, stride, groups: y.shape[1], act: silu });
  y = convNorm(net, y, channels, { gain: 0.7 });
  return stride === 1 && channels === x.shape[1] ? add(net, x, y) : y;
}

interface MobileStage {
  readonly channels: number;
  readonly stride: number;
  /** Blocks of convolutions. */
  readonly blocks: number;
  /** Transformer layers, and their width. */
  readonly layers?: number;
  readonly width?: number;
}

const MOBILE_VIT_S: readonly MobileStage[] = [
  { channels: 32, stride: 1, blocks: 1 },
  { channels: 64, stride: 2, blocks: 3 },
  { channels: 96, stride: 2, blocks: 1, layers: 2, width: 144 },
  { channels: 128, stride: 2, blocks: 1, layers: 4, width: 192 },
  { channels: 160, stride: 2, blocks: 1, layers: 3, width: 240 },
];

/** MobileViT: pixels at the same place of every 2×2 patch attend to each other. */
export function mobileVit(net: Net, size: number, stages = MOBILE_VIT_S, head = 640): Outputs {
  let x = convNorm(net, net.image(size), 16, { kernel: 3, stride: 2, act: silu });
  for (const { channels, stride, blocks, layers, width } of stages) {
    for (let i = 0; i < blocks; i++) x = inverted(net, x, channels, i === 0 ? stride : 1, 4);
    if (layers !== undefined) x = mobileVitBlock(net, x, layers, width!);
  }
  x = convNorm(net, x, head, { act: silu });
  return { logits: linear(net, mean(net, x, [2, 3]), 1000) };
}

function mobileVitBlock(net: Net, x: Value, layers: number, width: number): Value {
  const [batch, channels, rows, cols] = x.shape;
  let y = convNorm(net, x, channels, { kernel: 3, act: silu });
  y = conv(net, y, width, { bias: false });
  const [down, across] = [rows / 2, cols / 2];
  y = transpose(net, reshape(net, y, [batch * width * down, 2, across, 2]), [0, 2, 1, 3]);
  y = transpose(net, reshape(net, y, [batch, width, down * across, 4]), [0, 3, 2, 1]);
  let tokens = reshape(net, y, [batch * 4, down * across, width]);
  for (let i = 0; i < layers; i++) tokens = block(net, tokens, 4, 2 * width, silu);
  tokens = layerNorm(net, tokens, 1e-5);
  y = transpose(net, reshape(net, tokens, [batch, 4, down * across, width]), [0, 3, 2, 1]);
  y = transpose(net, reshape(net, y, [batch * width * down, across, 2, 2]), [0, 2, 1, 3]);
  y = convNorm(net, reshape(net, y, [batch, width, rows, cols]), channels, { act: silu });
  return convNorm(net, concat(net, [x, y], 1), channels, { kernel: 3, act: silu });
}

const MOBILE_VIT_V2: readonly (readonly [channels: number, layers: number])[] = [
  [256, 2],
  [384, 4],
  [512, 3],
];

/** MobileViTv2: separable attention, linear in the pixels. */
export function mobileVitV2(net: Net, size: number, widths = [32, 64, 128], stages = MOBILE_VIT_V2): Outputs {
  let x = convNorm(net, net.image(size), widths[0], { kernel: 3, stride: 2, act: silu });
  x = inverted(net, x, widths[1], 1, 2);
  for (const stride of [2, 1]) x = inverted(net, x, widths[2], stride, 2);
  for (const [channels, layers] of stages) {
    x = inverted(net, x, channels, 2, 2);
    x = mobileVitV2Block(net, x, layers);
  }
  return { logits: linear(net, mean(net, x, [2, 3]), 1000) };
}

function mobileVitV2Block(net: Net, x: Value, layers: number): Value {
  const [batch, channels, rows, cols] = x.shape;
  const width = channels / 2;
  let y = conv(net, convNorm(net, x, channels, { kernel: 3, groups: channels, act: silu }), width, { bias: false });
  y = transpose(net, reshape(net, y, [batch, width, rows / 2, 2, cols / 2, 2]), [0, 1, 3, 5, 2, 4]);
  y = reshape(net, y, [batch, width, 4, -1]);
  for (let i = 0; i < layers; i++) {
    y = add(net, y, separableAttention(net, groupNorm(net, y)));
    y = add(net, y, convMlp(net, groupNorm(net, y), 2 * width, { act: silu }));
  }
  y = reshape(net, groupNorm(net, y), [batch, width, 2, 2, rows / 2, cols / 2]);
  y = reshape(net, transpose(net, y, [0, 1, 4, 2, 5, 3]), [batch, width, rows, cols]);
  return convNorm(net, y, channels);
}

/** One score a pixel weighs the keys' sum, which then gates the values. */
function separableAttention(net: Net, x: Value): Value {
  const width = x.shape[1];
  const [q, k, v] = split(net, conv(net, x, 1 + 2 * width, { gain: 1.4 }), 1, [1, width, width]);
  const weighed = multiply(net, k, softmax(net, q));
  const shape = [...k.shape.slice(0, 3), 1];
  const sum = net.op('ReduceSum', [weighed, net.integers([3])], shape, { keepdims: 1 });
  const spread = net.op('Expand', [sum, net.integers(v.shape)], v.shape);
  return conv(net, multiply(net, relu(net, v), spread), width);
}

/** EfficientFormer: pooling in place of attention but in the last block. */
export function efficientFormer(net: Net, size: number, widths: readonly number[], depths: readonly number[]): Outputs {
  let x = convNorm(net, net.image(size), widths[0] / 2, { kernel: 3, stride: 2, bias: true, act: relu });
  x = convNorm(net, x, widths[0], { kernel: 3, stride: 2, bias: true, act: relu });
  for (const [stage, width] of widths.entries()) {
    if (stage > 0) x = convNorm(net, x, width, { kernel: 3, stride: 2, bias: true });
    const last = stage === widths.length - 1;
    for (let i = 0; i < depths[stage] - (last ? 1 : 0); i++) x = poolBlock(net, x, 4 * width);
  }
  let tokens = toTokens(net, x);
  const attended = fixedAttention(net, layerNorm(net, tokens, 1e-5), { heads: 8, dim: 32, ratio: 4 });
  tokens = add(net, tokens, layerScale(net, attended, 0.3));
  tokens = add(net, tokens, layerScale(net, mlp(net, layerNorm(net, tokens, 1e-5), 4 * tokens.shape[2]), 0.3));
  const pooled = mean(net, layerNorm(net, tokens, 1e-5), [1]);
  const both = add(net, linear(net, pooled, 1000), linear(net, pooled, 1000));
  const half = net.op('Div', [both, net.scalar(2)], both.shape);
  return { logits: half };
}

function poolBlock(net: Net, x: Value, hidden: number): Value {
  const pooled = net.op('AveragePool', [x], x.shape, {
    ceil_mode: 0,
    count_include_pad: 0,
    kernel_shape: [3, 3],
    pads: [1, 1, 1, 1],
    strides: [1, 1],
  });
  const mixed = add(net, x, layerScale2d(net, subtract(net, pooled, x), 0.3));
  const wide = convNorm(net, mixed, hidden, { bias: true, act: gelu });
  return add(net, mixed, layerScale2d(net, convNorm(net, wide, x.shape[1], { bias: true }), 0.3));
}

/** Attention with a learned bias for each pair of tokens of a fixed map, values wider than keys. */
function fixedAttention(net: Net, x: Value, shape: { heads: number; dim: number; ratio: number }): Value {
  const [batch, tokens] = x.shape;
  const { heads, dim, ratio } = shape;
  const packed = linear(net, x, heads * dim * (2 + ratio), { gain: 1.4 });
  const cut = reshape(net, packed, [batch, tokens, heads, dim * (2 + ratio)]);
  const turned = transpose(net, cut, [0, 2, 1, 3]);
  const [q, k, v] = split(net, turned, 3, [dim, dim, ratio * dim]);
  return linear(net, attend(net, { q, k, v }, tableBias(net, heads, Math.sqrt(tokens))), x.shape[2]);
}

/** A bias by the distance of two pixels down and across, gathered in the graph; [heads, side², side²]. */
export function tableBias(net: Net, heads: number, side: number, queries = side): Value {
  const stride = Math.ceil(side / queries);
  const [from, to] = [queries * queries, side * side];
  const index = Array.from({ length: from * to }, (_, i) => {
    const [a, b] = [Math.floor(i / to), i % to];
    const down = Math.abs(Math.floor(a / queries) * stride - Math.floor(b / side));
    return down * side + Math.abs((a % queries) * stride - (b % side));
  });
  const table = net.noise([heads, to], 0.7);
  return net.op('Gather', [table, net.integers(index, [from, to])], [heads, from, to], { axis: 1 });
}

export interface MobileOneOptions {
  readonly kernel?: number;
  readonly stride?: number;
  readonly groups?: number;
  readonly act?: Activation;
  readonly excite?: boolean;
}

/** The sum of a convolution, a 1×1 convolution and the input itself, each with a BatchNorm of its own. */
function mobileOne(net: Net, x: Value, channels: number, options: MobileOneOptions): Value {
  const { kernel = 1, stride = 1, groups = 1, act, excite = false } = options;
  let y = convNorm(net, x, channels, { kernel, stride, groups, gain: 0.6 });
  if (kernel > 1) y = add(net, convNorm(net, x, channels, { stride, groups, padding: 0, gain: 0.6 }), y);
  if (stride === 1 && channels === x.shape[1]) y = add(net, batchNorm(net, x, 0.6), y);
  if (excite) y = squeezeExcite(net, y, channels / 16);
  return act ? act(net, y) : y;
}

/** FastViT of RepMixer blocks alone, branches not merged. */
export function fastVit(net: Net, size: number, widths: readonly number[], depths: readonly number[]): Outputs {
  let x = mobileOne(net, net.image(size), widths[0], { kernel: 3, stride: 2, act: gelu });
  x = mobileOne(net, x, widths[0], { kernel: 3, stride: 2, groups: widths[0], act: gelu });
  x = mobileOne(net, x, widths[0], { act: gelu });
  for (const [stage, width] of widths.entries()) {
    if (stage > 0) {
      const wide = { stride: 2, groups: x.shape[1], gain: 0.7 };
      const large = convNorm(net, x, width, { kernel: 7, ...wide });
      const small = convNorm(net, x, width, { kernel: 3, ...wide });
      x = mobileOne(net, gelu(net, add(net, large, small)), width, { act: gelu });
    }
    for (let i = 0; i < depths[stage]; i++) x = repMixer(net, x, 3 * width);
  }
  const channels = x.shape[1];
  x = mobileOne(net, x, 2 * channels, { kernel: 3, groups: channels, excite: true, act: gelu });
  return { logits: linear(net, mean(net, x, [2, 3]), 1000) };
}

function repMixer(net: Net, x: Value, hidden: number): Value {
  const channels = x.shape[1];
  const mixed = mobileOne(net, x, channels, { kernel: 3, groups: channels });
  const y = add(net, x, layerScale2d(net, subtract(net, mixed, batchNorm(net, x, 0.6)), 0.3));
  const spatial = convNorm(net, y, channels, { kernel: 7, groups: channels });
  return add(net, y, layerScale2d(net, convMlp(net, spatial, hidden), 0.3));
}
