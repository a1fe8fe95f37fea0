import { broadcastData, type Constant } from '../constant.js';
import { isConstant, isOperation, type Expr } from '../expr.js';
import { permute, refine } from '../../graph/layout.js';
import { Unsupported } from '../problems.js';
import type { Idiom } from './idiom.js';

/** The convolution over the image, with a normalisation and padding of the image before it folded in. */
export const patchEmbed: Idiom = {
  name: 'patch embedding',
  lower(expr, lowerer) {
    if (!isOperation(expr, 'conv')) return null;
    const [x, weight] = expr.inputs;
    const { of: unpadded, border } = withoutPadding(x);
    const normalisation = imageNormalisation(unpadded);
    if (!normalisation || !isConstant(weight)) return null;
    const { scale, shift } = normalisation;
    const [filters, channels, kh, kw] = weight.shape;
    const [height, width] = expr.shape.slice(2);
    const { strides, dilations } = expr.attributes;
    const pads = expr.attributes.pads!.map((pad, side) => pad + border[side]);
    if (pads.some((pad) => pad !== 0) && shift.some((value) => value !== 0))
      throw new Unsupported(
        'the image is normalised inside the model and then padded',
        'export the model without its pre-processing',
      );

    const data = weight.value.data;
    const channelsLast = new Float32Array(data.length);
    const bias = new Float32Array(filters);
    const taps = kh * kw;
    for (let n = 0; n < filters; n++)
      for (let c = 0; c < channels; c++)
        for (let t = 0; t < taps; t++) {
          const w = data[(n * channels + c) * taps + t];
          channelsLast[(n * taps + t) * channels + c] = w * scale[c];
          bias[n] += w * shift[c];
        }
    const node = {
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
    return lowerer.emit(expr, node, [weight], expr.shape, permute([height * width, filters], [1, 0]));
  },
};

/**
 * Zeros around a [1, channels, height, width] image, as models add them to images that are no multiple of the patch:
 * they become the convolution's own padding.
 * @returns What is padded, and by how much: top, left, bottom, right.
 */
function withoutPadding(x: Expr): { of: Expr; border: readonly number[] } {
  const none = { of: x, border: [0, 0, 0, 0] };
  if (x.op !== 'view' || x.sources.length !== 1 || x.shape.length !== 4 || x.sources[0].shape.length !== 4) return none;
  const [source] = x.sources;
  const [channels, height, width] = x.shape.slice(1);
  const [h, w] = source.shape.slice(2);
  if (source.shape[1] !== channels) return none;
  const { index } = refine(x.layout, 1);
  const first = index.findIndex((from) => from >= 0);
  const [top, left] = [Math.floor(first / width), first % width];
  const border = [top, left, height - h - top, width - w - left];
  if (border.some((size) => size < 0)) return none;
  for (let i = 0; i < index.length; i++) {
    const channel = Math.floor(i / (height * width));
    const row = (Math.floor(i / width) % height) - top;
    const col = (i % width) - left;
    const isInside = row >= 0 && row < h && col >= 0 && col < w;
    if (index[i] !== (isInside ? (channel * h + row) * w + col : -1)) return none;
  }
  return { of: source, border };
}

/** x = scale·image + shift for each channel, or null where `x` is no such thing. */
function imageNormalisation(x: Expr): { scale: number[]; shift: number[] } | null {
  if (x.op === 'image')
    return {
      scale: x.shape.slice(1, 2).flatMap((c) => new Array<number>(c).fill(1)),
      shift: new Array<number>(x.shape[1]).fill(0),
    };
  if (!isOperation(x, 'add') && !isOperation(x, 'mul')) return null;
  const [inner, operand] = x.inputs;
  if (!isConstant(operand)) return null;
  const before = imageNormalisation(inner);
  const values = perChannel(operand.value, x.shape);
  if (!before || !values) return null;
  if (x.op === 'add') return { scale: before.scale, shift: before.shift.map((s, c) => s + values[c]) };
  return { scale: before.scale.map((s, c) => s * values[c]), shift: before.shift.map((s, c) => s * values[c]) };
}

function perChannel(value: Constant, shape: readonly number[]): number[] | null {
  const spread = broadcastData(value, shape);
  const size = shape[2] * shape[3];
  const values = Array.from({ length: shape[1] }, (_, c) => spread[c * size]);
  for (let i = 0; i < spread.length; i++) if (spread[i] !== values[Math.floor(i / size) % shape[1]]) return null;
  return values;
}
