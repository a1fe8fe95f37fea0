import { Constant, sizeOf } from '../constant.js';
import { Unsupported } from '../problems.js';

export interface ResizeOptions {
  readonly mode: string;
  readonly coordinates: string;
  readonly cubic: number;
  readonly nearest: string;
  readonly antialias: boolean;
  readonly excludeOutside: boolean;
  /** Where the model gives factors, not sizes: coordinates follow from them, not from the rounded sizes. */
  readonly scales: readonly number[] | null;
}

/** ONNX Resize of a constant (position embeddings), one axis after the other. */
export function resizeConstant(x: Constant, sizes: readonly number[], options: ResizeOptions): Constant {
  let data = Float64Array.from(x.data);
  const shape = [...x.shape];
  for (let axis = 0; axis < shape.length; axis++) {
    if (sizes[axis] === shape[axis]) continue;
    const weights = axisWeights(shape[axis], sizes[axis], options.scales?.[axis] ?? sizes[axis] / shape[axis], options);
    const inner = sizeOf(shape.slice(axis + 1));
    const outer = sizeOf(shape.slice(0, axis));
    const out = new Float64Array(outer * sizes[axis] * inner);
    for (let o = 0; o < outer; o++)
      weights.forEach((taps, i) => {
        for (const [from, weight] of taps)
          for (let j = 0; j < inner; j++)
            out[(o * sizes[axis] + i) * inner + j] += weight * data[(o * shape[axis] + from) * inner + j];
      });
    data = out;
    shape[axis] = sizes[axis];
  }
  return Constant.of(shape, x.kind, data, x.name);
}

/** For each position along the resized axis: which source positions count, and how much. */
function axisWeights(from: number, to: number, scale: number, options: ResizeOptions): [number, number][][] {
  return Array.from({ length: to }, (_, i) => {
    const at = sourceCoordinate(i, from, to, scale, options.coordinates);
    if (options.mode === 'nearest') return [[clamp(nearest(at, options.nearest), from), 1]];
    const reach = options.mode === 'cubic' ? 2 : 1;
    const stretch = options.antialias ? Math.max(1, 1 / scale) : 1;
    const taps: [number, number][] = [];
    let total = 0;
    for (
      let k = Math.floor(at - reach * stretch) + 1;
      k <= Math.ceil(at + reach * stretch) - 1 || taps.length === 0;
      k++
    ) {
      const distance = (k - at) / stretch;
      const weight = options.mode === 'cubic' ? cubic(distance, options.cubic) : Math.max(0, 1 - Math.abs(distance));
      if ((options.excludeOutside || options.antialias) && (k < 0 || k >= from)) continue;
      taps.push([clamp(k, from), weight]);
      total += weight;
    }
    return taps.map(([position, weight]) => [position, weight / total]);
  });
}

const clamp = (at: number, length: number): number => Math.min(length - 1, Math.max(0, at));

function sourceCoordinate(i: number, from: number, to: number, scale: number, mode: string): number {
  switch (mode) {
    case 'half_pixel':
      return (i + 0.5) / scale - 0.5;
    case 'pytorch_half_pixel':
      return to > 1 ? (i + 0.5) / scale - 0.5 : 0;
    case 'align_corners':
      return to > 1 ? (i * (from - 1)) / (to - 1) : 0;
    case 'asymmetric':
      return i / scale;
    default:
      throw new Unsupported(`resizing with ${mode} coordinates`, 'export at the image size the model was made for');
  }
}

function nearest(at: number, mode: string): number {
  switch (mode) {
    case 'floor':
      return Math.floor(at);
    case 'ceil':
      return Math.ceil(at);
    case 'round_prefer_ceil':
      return Math.floor(at + 0.5);
    default:
      return Math.ceil(at - 0.5);
  }
}

/** Keys' cubic convolution kernel. */
function cubic(distance: number, a: number): number {
  const x = Math.abs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}
