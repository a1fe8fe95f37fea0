/** Layers with weights, and activations, in the form that `torch.onnx` gives them. */
import { sizeOf } from './net.js';
import type { Net, Value } from './net.js';
import { add, concat, divide, mean, multiply, reduce, reshape, scale, slice, softmax, subtract } from './shapes.js';
import { matmul, transpose } from './shapes.js';

type Pair = number | readonly [number, number];
const pair = (v: Pair): readonly [number, number] => (typeof v === 'number' ? [v, v] : v);

export interface ConvOptions {
  readonly kernel?: number;
  readonly stride?: Pair;
  /** On every side; as many as keep the size at stride 1 where left out. */
  readonly padding?: number;
  readonly groups?: number;
  readonly bias?: boolean;
  /** How many times larger than its input's values the output's are. */
  readonly gain?: number;
}

/** How differently trained channels are scaled. */
const CHANNEL_SPREAD = 0.3;

export function conv(net: Net, x: Value, channels: number, options: ConvOptions = {}): Value {
  const { kernel = 1, stride = 1, padding = (kernel - 1) >> 1, groups = 1, bias = true, gain = 1 } = options;
  const strides = pair(stride);
  const shape = [channels, x.shape[1] / groups, kernel, kernel];
  const inputs = [x, matrix(net, shape, gain), ...(bias ? [net.noise([channels], 0.1 * gain)] : [])];
  const size = [0, 1].map((i) => Math.floor((x.shape[2 + i] + 2 * padding - kernel) / strides[i]) + 1);
  return net.op('Conv', inputs, [x.shape[0], channels, ...size], {
    dilations: [1, 1],
    group: groups,
    kernel_shape: [kernel, kernel],
    pads: [padding, padding, padding, padding],
    strides,
  });
}

/** Share of a filter's energy that its taps have in common: trained filters are smoother than noise. */
const SMOOTHNESS = 0.64;

/** A filter a row, [outputs, inputs, taps…]: normal noise, rows of different sizes. */
function matrix(net: Net, shape: readonly number[], gain: number): Value {
  const fan = sizeOf(shape.slice(1));
  const taps = sizeOf(shape.slice(2));
  const rows = net.spread(shape[0], CHANNEL_SPREAD);
  const deviation = gain / Math.sqrt(fan);
  const common = net.normal(taps > 1 ? sizeOf(shape) / taps : 0, deviation * Math.sqrt(SMOOTHNESS));
  const own = net.normal(sizeOf(shape), deviation * Math.sqrt(taps > 1 ? 1 - SMOOTHNESS : 1));
  return net.weight(
    own.map((w, i) => (w + (taps > 1 ? common[Math.floor(i / taps)] : 0)) * rows[Math.floor(i / fan)]),
    shape,
  );
}

/** A transposed convolution whose kernel covers its stride; `padding` on every side is cut off. */
export function deconv(net: Net, x: Value, channels: number, options: ConvOptions): Value {
  const { kernel = 2, stride = 2, padding = 0, bias = true, gain = 1 } = options;
  const strides = pair(stride);
  const taps = (kernel / strides[0]) * (kernel / strides[1]);
  const weight = net.noise([x.shape[1], channels, kernel, kernel], gain / Math.sqrt(x.shape[1] * taps));
  const size = [0, 1].map((i) => (x.shape[2 + i] - 1) * strides[i] + kernel - 2 * padding);
  const inputs = [x, weight, ...(bias ? [net.noise([channels], 0.1 * gain)] : [])];
  return net.op('ConvTranspose', inputs, [x.shape[0], channels, ...size], {
    dilations: [1, 1],
    group: 1,
    kernel_shape: [kernel, kernel],
    pads: [padding, padding, padding, padding],
    strides,
  });
}

const BATCH_NORM_EPSILON = 1e-5;
/** Least variance of a channel before BatchNorm, in terms of the mean square of all channels' averages. */
const LEAST_VARIATION = 0.2;

/** BatchNormalization over axis 1; `gain` is the size of γ. */
export function batchNorm(net: Net, x: Value, gain = 1): Value {
  const channels = x.shape[1];
  const gamma = net.spread(channels, 0.4, gain);
  const beta = net.normal(channels, 0.3 * gain);
  // Running averages of training are near to what a few images give, not the same.
  const drift = [net.normal(channels, 0.1), net.spread(channels, 0.2)];
  if (net.statistics === null) return measuredNorm(net, x, gamma, beta);
  const { mean: measured, variance: seen } = net.statistics(net.norms++, channels);
  // A few images tell little of how a pooled feature varies.
  const pooled = x.shape.length === 2 ? (0.3 * seen.reduce((sum, v) => sum + v, 0)) / channels : 0;
  // Averages over many pixels hardly vary where weights are random; networks that were trained tell images apart.
  const power = measured.reduce((sum, m) => sum + m * m, 0) / channels;
  const least = Math.max(pooled, LEAST_VARIATION * power);
  const variance = seen.map((v) => Math.max(v, least));
  const parameters = [
    net.weight(gamma, [channels]),
    net.weight(beta, [channels]),
    net.constant(
      measured.map((m, c) => m + drift[0][c] * Math.sqrt(variance[c])),
      [channels],
    ),
    net.constant(
      variance.map((v, c) => v * drift[1][c]),
      [channels],
    ),
  ];
  return net.op('BatchNormalization', [x, ...parameters], x.shape, {
    epsilon: { float: BATCH_NORM_EPSILON },
    momentum: { float: 0.9 },
  });
}

/** The same with the statistics of the batch itself, which become outputs. */
function measuredNorm(net: Net, x: Value, gamma: Float32Array, beta: Float32Array): Value {
  const axes = x.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
  const center = mean(net, x, axes, true);
  const centered = subtract(net, x, center);
  const variance = mean(net, multiply(net, centered, centered), axes, true);
  net.measured.push(center.name, variance.name);
  const deviation = net.op('Sqrt', [add(net, variance, net.scalar(BATCH_NORM_EPSILON))], variance.shape);
  const shape = x.shape.map((dim, axis) => (axis === 1 ? dim : 1));
  const scaled = multiply(net, divide(net, centered, deviation), net.constant(gamma, shape));
  return add(net, scaled, net.constant(beta, shape));
}

export type Activation = (net: Net, x: Value) => Value;

export function convNorm(
  net: Net,
  x: Value,
  channels: number,
  options: ConvOptions & { readonly act?: Activation } = {},
): Value {
  const { gain = 1, act, ...rest } = options;
  const y = batchNorm(net, conv(net, x, channels, { bias: false, ...rest }), gain);
  return act ? act(net, y) : y;
}

export interface LinearOptions {
  readonly bias?: boolean;
  readonly gain?: number;
}

/** Gemm where there are two axes, MatMul and Add where there are more. */
export function linear(net: Net, x: Value, cols: number, { bias = true, gain = 1 }: LinearOptions = {}): Value {
  const features = x.shape.at(-1)!;
  const shape = [...x.shape.slice(0, -1), cols];
  const offset = (): Value[] => (bias ? [net.noise([cols], 0.1 * gain)] : []);
  if (x.shape.length === 2)
    return net.op('Gemm', [x, matrix(net, [cols, features], gain), ...offset()], shape, { transB: 1 });
  const columns = net.spread(cols, CHANNEL_SPREAD);
  const weight = net.normal(features * cols, gain / Math.sqrt(features)).map((w, i) => w * columns[i % cols]);
  const product = net.op('MatMul', [x, net.weight(weight, [features, cols])], shape);
  return bias ? net.op('Add', [...offset(), product], shape) : product;
}

export function layerNorm(net: Net, x: Value, epsilon = 1e-6): Value {
  const cols = x.shape.at(-1)!;
  const parameters = [net.weight(net.spread(cols, 0.2), [cols]), net.noise([cols], 0.1)];
  return net.op('LayerNormalization', [x, ...parameters], x.shape, { axis: -1, epsilon: { float: epsilon } });
}

/** Over the channels of a map. */
export function layerNorm2d(net: Net, x: Value, epsilon = 1e-6): Value {
  return transpose(net, layerNorm(net, transpose(net, x, [0, 2, 3, 1]), epsilon), [0, 3, 1, 2]);
}

/** GroupNorm of one group, as it was written before ONNX had the operator. */
export function groupNorm(net: Net, x: Value): Value {
  const [batch, channels] = x.shape;
  const flat = reshape(net, x, [batch, 1, -1]);
  const unit = [net.constant(Float32Array.of(1), [1]), net.constant(Float32Array.of(0), [1])];
  const norm = net.op('InstanceNormalization', [flat, ...unit], flat.shape, { epsilon: { float: 1e-5 } });
  const back = reshape(net, norm, x.shape);
  const scaled = multiply(net, back, net.weight(net.spread(channels, 0.2), [channels, 1, 1]));
  return add(net, scaled, net.noise([channels, 1, 1], 0.1));
}

/** A factor for each channel, on the last axis. */
export function layerScale(net: Net, x: Value, size: number): Value {
  const cols = x.shape.at(-1)!;
  return multiply(net, x, net.weight(net.spread(cols, 0.4, size), [cols]));
}

/** The same on the channels of a map. */
export function layerScale2d(net: Net, x: Value, size: number): Value {
  const channels = x.shape[1];
  return multiply(net, x, net.weight(net.spread(channels, 0.4, size), [1, channels, 1, 1]));
}

export const relu: Activation = (net, x) => net.op('Relu', [x], x.shape);
export const sigmoid: Activation = (net, x) => net.op('Sigmoid', [x], x.shape);
export const tanh: Activation = (net, x) => net.op('Tanh', [x], x.shape);
export const hardSwish: Activation = (net, x) => net.op('HardSwish', [x], x.shape);
export const silu: Activation = (net, x) => multiply(net, x, sigmoid(net, x));

export const gelu: Activation = (net, x) => {
  const erf = net.op('Erf', [divide(net, x, net.scalar(Math.SQRT2))], x.shape);
  return scale(net, multiply(net, x, add(net, erf, net.scalar(1))), 0.5);
};

export const geluTanh: Activation = (net, x) => {
  const square = multiply(net, x, x);
  const cube = scale(net, multiply(net, square, x), 0.044715);
  const inner = scale(net, add(net, x, cube), Math.sqrt(2 / Math.PI));
  return multiply(net, scale(net, x, 0.5), add(net, tanh(net, inner), net.scalar(1)));
};

export interface MlpOptions {
  readonly act?: Activation;
  readonly gain?: number;
}

/** Two linear layers. */
export function mlp(net: Net, x: Value, hidden: number, { act = gelu, gain = 1 }: MlpOptions = {}): Value {
  return linear(net, act(net, linear(net, x, hidden)), x.shape.at(-1)!, { gain });
}

/** Two 1×1 convolutions. */
export function convMlp(net: Net, x: Value, hidden: number, { act = gelu, gain = 1 }: MlpOptions = {}): Value {
  return conv(net, act(net, conv(net, x, hidden)), x.shape[1], { gain });
}

/** Squeeze and excitation: every channel by a gate from the means of all. */
export function squeezeExcite(net: Net, x: Value, hidden: number, act: Activation = relu): Value {
  const squeezed = act(net, conv(net, mean(net, x, [2, 3], true), hidden));
  return multiply(net, x, sigmoid(net, conv(net, squeezed, x.shape[1])));
}

/** Along an axis, as `F.normalize`. */
export function normalize(net: Net, x: Value, axis: number): Value {
  const norm = reduce(net, 'ReduceL2', x, [axis], true);
  const clipped = net.op('Clip', [norm, net.scalar(1e-12)], norm.shape);
  return divide(net, x, net.op('Expand', [clipped, net.integers(x.shape)], x.shape));
}

export interface AttentionParts {
  /** [batch, heads, tokens, channels]. */
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
}

/** q, k and v out of one linear layer, as timm cuts them; scores then have a deviation of about 2, as trained ones. */
export function qkv(net: Net, x: Value, heads: number, options: LinearOptions = {}): AttentionParts {
  const [batch, tokens, width] = x.shape;
  const packed = reshape(net, linear(net, x, 3 * width, { gain: 1.4, ...options }), [batch, tokens, 3, heads, -1]);
  const [q, k, v] = unbindFirst(net, transpose(net, packed, [2, 0, 3, 1, 4]));
  return { q, k, v };
}

function unbindFirst(net: Net, x: Value): Value[] {
  const parts = net.node('Split', [x], x.shape[0], { axis: 0 });
  return parts.map((part) => {
    const shape = x.shape.slice(1);
    return net.op('Squeeze', [part, net.integers([0])], shape);
  });
}

/** Scaled scores, their softmax, and the mixed values as [batch, tokens, heads · channels]. */
export function attend(net: Net, { q, k, v }: AttentionParts, bias: Value | null = null): Value {
  const scores = matmul(net, scale(net, q, q.shape.at(-1)! ** -0.5), transpose(net, k, [0, 1, 3, 2]));
  const weights = softmax(net, bias === null ? scores : add(net, scores, bias));
  return mergeHeads(net, matmul(net, weights, v));
}

/** [batch, heads, tokens, channels] to [batch, tokens, heads · channels]. */
export function mergeHeads(net: Net, x: Value): Value {
  const [batch, , tokens] = x.shape;
  return reshape(net, transpose(net, x, [0, 2, 1, 3]), [batch, tokens, -1]);
}

/** Attention and its two projections. */
export function selfAttention(net: Net, x: Value, heads: number, bias: Value | null = null): Value {
  return linear(net, attend(net, qkv(net, x, heads), bias), x.shape[2]);
}

/** The usual block: norms first, residual sums after. */
export function block(net: Net, x: Value, heads: number, hidden: number, act: Activation = gelu): Value {
  const attended = add(net, x, selfAttention(net, layerNorm(net, x), heads));
  return add(net, attended, mlp(net, layerNorm(net, attended), hidden, { act }));
}

/** Images cut into patches, as tokens. */
export function patches(net: Net, x: Value, width: number, size: number, padding = 0): Value {
  return toTokensOf(net, conv(net, x, width, { kernel: size, stride: size, padding }));
}

function toTokensOf(net: Net, x: Value): Value {
  return transpose(net, reshape(net, x, [x.shape[0], x.shape[1], -1]), [0, 2, 1]);
}

/** The class token's features, [batch, channels]. */
export function firstToken(net: Net, x: Value): Value {
  return net.op('Gather', [x, net.integers([0], [])], [x.shape[0], x.shape[2]], { axis: 1 });
}

/** [-b, a] of halves or of pairs [a, b]: what rotary position embeddings turn by. */
export function turned(net: Net, x: Value, interleaved: boolean): Value {
  const axis = x.shape.length - 1;
  const dim = x.shape[axis];
  const negative = (value: Value): Value => net.op('Neg', [value], value.shape);
  if (!interleaved) {
    const [a, b] = [slice(net, x, axis, 0, dim / 2), slice(net, x, axis, dim / 2)];
    return concat(net, [negative(b), a], axis);
  }
  const [a, b] = [slice(net, x, axis, 0, dim, 2), slice(net, x, axis, 1, dim, 2)];
  const lifted = [negative(b), a].map((v) => net.op('Unsqueeze', [v, net.integers([axis + 1])], [...v.shape, 1]));
  return reshape(net, concat(net, lifted, axis + 1), x.shape);
}
