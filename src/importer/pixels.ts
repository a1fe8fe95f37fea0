/** Expressions whose every element is one pixel of the image, scaled and shifted by constants; and patches of them. */
import { refine } from '../graph/layout.js';
import { broadcastData } from './constant.js';
import { isConstant, isOperation, type Expr, type OperationExpr } from './expr.js';

/** For each element: which pixel p of the image [channels, height, width] it reads (−1: none), and a, b of a·p + b. */
export interface Pixels {
  readonly image: readonly [channels: number, height: number, width: number];
  readonly index: Int32Array;
  readonly scale: Float64Array;
  readonly shift: Float64Array;
}

/** The pixels that an expression consists of, or null where it is anything else. */
export function pixelsOf(expr: Expr): Pixels | null {
  if (expr.op === 'image') {
    const [, channels, height, width] = expr.shape;
    const size = channels * height * width;
    const index = Int32Array.from({ length: size }, (_, i) => i);
    return {
      image: [channels, height, width],
      index,
      scale: new Float64Array(size).fill(1),
      shift: new Float64Array(size),
    };
  }
  if (expr.op === 'view') return expr.sources.length === 1 ? viewed(pixelsOf(expr.sources[0]), expr.layout) : null;
  if (!isOperation(expr, 'add') && !isOperation(expr, 'mul')) return null;
  const [inner, operand] = expr.inputs;
  if (!isConstant(operand) || inner.shape.join() !== expr.shape.join()) return null;
  const before = pixelsOf(inner);
  if (!before) return null;
  const values = broadcastData(operand.value, expr.shape);
  if (expr.op === 'add') return { ...before, shift: before.shift.map((b, i) => b + values[i]) };
  return {
    ...before,
    scale: before.scale.map((a, i) => a * values[i]),
    shift: before.shift.map((b, i) => b * values[i]),
  };
}

function viewed(source: Pixels | null, layout: Parameters<typeof refine>[0]): Pixels | null {
  if (!source) return null;
  const from = refine(layout, 1).index;
  const pick = <T>(
    values: ArrayLike<number>,
    none: number,
    like: { from(a: ArrayLike<number>, f: (i: number) => number): T },
  ) => like.from(from, (at) => (at < 0 ? none : values[at]));
  return {
    image: source.image,
    index: pick(source.index, -1, Int32Array),
    scale: pick(source.scale, 0, Float64Array),
    shift: pick(source.shift, 0, Float64Array),
  };
}

/** What a [1, channels, height, width] tensor of pixels is: the image's planes in some order, with zeros around. */
export interface Planes {
  /** The image's channel that each channel reads. */
  readonly channels: readonly number[];
  /** For each channel. */
  readonly scale: readonly number[];
  readonly shift: readonly number[];
  /** Zeros around the image: top, left, bottom, right. */
  readonly border: readonly [number, number, number, number];
}

/** Null where the tensor is no such thing. */
export function planesOf({ image, index, scale, shift }: Pixels, shape: readonly number[]): Planes | null {
  const [, count, height, width] = shape;
  const [, h, w] = image;
  const size = height * width;
  const first = index.findIndex((from) => from >= 0);
  if (shape.length !== 4 || first < 0 || first >= size) return null;
  const [top, left] = [Math.floor(first / width), first % width];
  const border = [top, left, height - h - top, width - w - left] as const;
  const at = Array.from({ length: count }, (_, c) => c * size + first);
  const channels = at.map((i) => Math.floor(index[i] / (h * w)));
  if (border.some((zeros) => zeros < 0) || channels.some((c) => c < 0)) return null;
  for (let i = 0; i < index.length; i++) {
    const c = Math.floor(i / size);
    const row = (Math.floor(i / width) % height) - top;
    const col = (i % width) - left;
    const isInside = row >= 0 && row < h && col >= 0 && col < w;
    if (index[i] !== (isInside ? (channels[c] * h + row) * w + col : -1)) return null;
    if (isInside ? scale[i] !== scale[at[c]] || shift[i] !== shift[at[c]] : shift[i] !== 0) return null;
  }
  return { channels, border, scale: at.map((i) => scale[i]), shift: at.map((i) => shift[i]) };
}

/** Rows of pixels that are patches of the image, all alike, on a regular grid. */
export interface Patches {
  readonly kernel: readonly [height: number, width: number];
  readonly stride: readonly [number, number];
  /** Rows and columns of patches. */
  readonly grid: readonly [number, number];
  /** Pixels before the image at which the first patch begins, and after it at which the last one ends. */
  readonly pads: readonly [number, number, number, number];
  /** For each row, which patch it is, counted along the grid's rows. */
  readonly place: Int32Array;
  /** For each element of a row: its place in a kernel [height, width, channels], −1 where it reads no pixel. */
  readonly tap: Int32Array;
  readonly scale: Float64Array;
  readonly shift: Float64Array;
}

/** No patch of a Vision Transformer is larger, in pixels of one channel. */
const MAX_KERNEL = 4096;

/** The rows, of `cols` elements each, as patches; null where they are no such thing. */
export function patchesOf({ image, index, scale, shift }: Pixels, cols: number): Patches | null {
  const [channels, height, width] = image;
  const rows = index.length / cols;
  const used = (row: number): number => index.subarray(row * cols, (row + 1) * cols).filter((from) => from >= 0).length;
  // The row that all others are compared with: one that lies in the image as a whole.
  let model = 0;
  for (let row = 1; row < rows; row++) if (used(row) > used(model)) model = row;
  const y = (from: number): number => Math.floor(from / width) % height;
  const x = (from: number): number => from % width;
  const plane = (from: number): number => Math.floor(from / (width * height));
  const pattern = index.slice(model * cols, (model + 1) * cols);
  const inside = [...pattern.keys()].filter((k) => pattern[k] >= 0);
  if (inside.length === 0) return null;
  const range = (of: (from: number) => number): [least: number, size: number] => {
    const values = inside.map((k) => of(pattern[k]));
    const least = values.reduce((a, b) => Math.min(a, b));
    return [least, values.reduce((a, b) => Math.max(a, b)) - least + 1];
  };
  const [[y0, kh], [x0, kw]] = [range(y), range(x)];
  if (kh * kw > MAX_KERNEL) return null;

  const tops = new Int32Array(rows);
  const lefts = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    const k = inside.find((i) => index[row * cols + i] >= 0);
    if (k === undefined) return null;
    const from = index[row * cols + k];
    tops[row] = y(from) - (y(pattern[k]) - y0);
    lefts[row] = x(from) - (x(pattern[k]) - x0);
    for (let i = 0; i < cols; i++) {
      const at = row * cols + i;
      const like = model * cols + i;
      const [top, left] = [tops[row] + y(pattern[i]) - y0, lefts[row] + x(pattern[i]) - x0];
      const isInside = pattern[i] >= 0 && top >= 0 && top < height && left >= 0 && left < width;
      if (index[at] !== (isInside ? (plane(pattern[i]) * height + top) * width + left : -1)) return null;
      if (shift[at] !== shift[like] || (index[at] >= 0 && scale[at] !== scale[like])) return null;
    }
  }
  const [down, across] = [progression(tops), progression(lefts)];
  if (!down || !across || down.count * across.count !== rows) return null;
  const place = tops.map((top, row) => down.place(top) * across.count + across.place(lefts[row]));
  if (new Set(place).size !== rows) return null;
  const end = (axis: Progression, kernel: number, size: number): number =>
    axis.first + (axis.count - 1) * axis.step + kernel - size;
  return {
    kernel: [kh, kw],
    // One patch alone moves nowhere.
    stride: [down.count > 1 ? down.step : kh, across.count > 1 ? across.step : kw],
    grid: [down.count, across.count],
    pads: [-down.first, -across.first, end(down, kh, height), end(across, kw, width)],
    place,
    tap: pattern.map((from) => (from < 0 ? -1 : ((y(from) - y0) * kw + x(from) - x0) * channels + plane(from))),
    scale: scale.slice(model * cols, (model + 1) * cols),
    shift: shift.slice(model * cols, (model + 1) * cols),
  };
}

interface Progression {
  readonly first: number;
  readonly step: number;
  readonly count: number;
  readonly place: (value: number) => number;
}

/** The distinct values as first, first + step, …; null where they are not evenly spaced. */
function progression(values: Int32Array): Progression | null {
  const sorted = [...new Set(values)].sort((a, b) => a - b);
  const step = sorted.length > 1 ? sorted[1] - sorted[0] : 1;
  if (sorted.some((value, i) => value !== sorted[0] + i * step)) return null;
  return { first: sorted[0], step, count: sorted.length, place: (value) => (value - sorted[0]) / step };
}

/** The rows that a convolution multiplies by its kernel, of [channels, kernel height, kernel width] each. */
export function unfolded(pixels: Pixels, conv: OperationExpr): Pixels {
  const [, channels, height, width] = conv.inputs[0].shape;
  const [kh, kw] = conv.inputs[1].shape.slice(2);
  const [oh, ow] = conv.shape.slice(2);
  const { strides, pads, dilations } = conv.attributes;
  const from = new Int32Array(oh * ow * channels * kh * kw);
  for (let i = 0; i < from.length; i++) {
    const [tx, ty] = [i % kw, Math.floor(i / kw) % kh];
    const c = Math.floor(i / (kw * kh)) % channels;
    const row = Math.floor(i / (kw * kh * channels));
    const y = Math.floor(row / ow) * strides![0] - pads![0] + ty * dilations![0];
    const x = (row % ow) * strides![1] - pads![1] + tx * dilations![1];
    from[i] = y >= 0 && y < height && x >= 0 && x < width ? (c * height + y) * width + x : -1;
  }
  return viewed(pixels, { piece: 1, index: from })!;
}
