/** What operators that slide a window over an image or a map have in common. */
import type { Geometry } from '../../graph/geometry.js';
import type { ExprBuilder } from '../expr-builder.js';
import type { Expr } from '../expr.js';
import type { OperatorContext } from '../operator.js';
import { Unsupported } from '../problems.js';

/** How windows lie over the axes of a tensor from the third on. */
export interface Sliding {
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Before each axis, then after each. */
  readonly pads: readonly number[];
}

/** The attributes of a node with windows of a size, over spatial axes of these lengths. */
export function slidingOf(c: OperatorContext, kernel: readonly number[], size: readonly number[]): Sliding {
  const ones = kernel.map(() => 1);
  const strides = c.intsOr('strides', ones);
  const dilations = c.intsOr('dilations', ones);
  const zeros = [...ones, ...ones].map(() => 0);
  const auto = c.text('auto_pad', 'NOTSET');
  if (auto === 'VALID') return { strides, dilations, pads: zeros };
  if (!auto.startsWith('SAME')) return { strides, dilations, pads: c.intsOr('pads', zeros) };
  const total = kernel.map((k, i) => {
    const out = Math.ceil(size[i] / strides[i]);
    return Math.max(0, (out - 1) * strides[i] + dilations[i] * (k - 1) + 1 - size[i]);
  });
  const small = total.map((pad) => Math.floor(pad / 2));
  const large = total.map((pad, i) => pad - small[i]);
  return { strides, dilations, pads: auto === 'SAME_LOWER' ? [...large, ...small] : [...small, ...large] };
}

/** A tensor [N, C, L] as [N, C, 1, L], one of [N, C, H, W] as it is. */
export function asMap(b: ExprBuilder, x: Expr): Expr {
  if (x.shape.length === 4) return x;
  if (x.shape.length === 3) return b.reshape(x, [x.shape[0], x.shape[1], 1, x.shape[2]]);
  throw new Unsupported(
    `windows over ${x.shape.length - 2} axes`,
    'images and sequences are supported, videos and volumes are not',
  );
}

/** Numbers for two axes where there may be one, or a pair for each: `fill` stands for the axis that is missing. */
export const pairOf = (of: readonly number[], fill: number): [number, number] =>
  of.length === 1 ? [fill, of[0]] : [of[0], of[1]];

/** Windows over two axes, of those over one or two. */
export function onMap(sliding: Sliding): Sliding {
  if (sliding.strides.length !== 1) return sliding;
  const { strides, dilations, pads } = sliding;
  return { strides: [1, strides[0]], dilations: [1, dilations[0]], pads: [0, pads[0], 0, pads[1]] };
}

/** The windows of a map as the canonical graph says them. */
export function geometryOf(
  size: readonly [number, number],
  kernel: readonly [number, number],
  { strides, dilations, pads }: Sliding,
  outSize: readonly [number, number],
): Geometry {
  return {
    size,
    kernel,
    stride: [strides[0], strides[1]],
    pad: [pads[0], pads[1]],
    dilation: [dilations[0], dilations[1]],
    outSize,
  };
}

/** A tensor [N, C, H, W] as a matrix of its pixels [N·H·W, C]. */
export function toPixels(b: ExprBuilder, x: Expr): Expr {
  const [n, channels, height, width] = x.shape;
  return b.reshape(b.transpose(x, [0, 2, 3, 1]), [n * height * width, channels]);
}

/** A matrix of pixels [N·H·W, C] as a tensor [N, C, H, W]. */
export function fromPixels(b: ExprBuilder, pixels: Expr, [n, channels, height, width]: readonly number[]): Expr {
  return b.transpose(b.reshape(pixels, [n, height, width, channels]), [0, 3, 1, 2]);
}
