/** Windows over a map whose pixels are rows; each pair is [down, across]. */
export interface Geometry {
  /** Of the map that is read. */
  readonly size: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  /** Rows above and columns left of the map at which the first window begins. */
  readonly pad: readonly [number, number];
  readonly dilation: readonly [number, number];
  /** How many windows there are. */
  readonly outSize: readonly [number, number];
}

export const tapCount = ({ kernel }: Geometry): number => kernel[0] * kernel[1];

export const windowCount = ({ outSize }: Geometry): number => outSize[0] * outSize[1];

/** [windows, taps]: the row of the map that each tap reads, in (ky, kx) order; −1 outside of the map. */
export function tapRows({ size, kernel, stride, pad, dilation, outSize }: Geometry): Int32Array {
  const taps = kernel[0] * kernel[1];
  const rows = new Int32Array(outSize[0] * outSize[1] * taps);
  for (let i = 0; i < rows.length; i++) {
    const [p, tap] = [Math.floor(i / taps), i % taps];
    const y = Math.floor(p / outSize[1]) * stride[0] - pad[0] + Math.floor(tap / kernel[1]) * dilation[0];
    const x = (p % outSize[1]) * stride[1] - pad[1] + (tap % kernel[1]) * dilation[1];
    rows[i] = y >= 0 && y < size[0] && x >= 0 && x < size[1] ? y * size[1] + x : -1;
  }
  return rows;
}

/** True where some tap lies outside of the map. */
export const reachesOutside = (geometry: Geometry): boolean =>
  [0, 1].some((axis) => geometry.pad[axis] > 0 || padAfter(geometry, axis) > 0);

/** Pixels after the map's end that the last window reaches. */
function padAfter({ size, kernel, stride, pad, dilation, outSize }: Geometry, axis: number): number {
  return (outSize[axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1 - pad[axis] - size[axis];
}

/** Attributes of an ONNX operator with these windows; it may have more of them, at the ends. */
export function windowAttributes(geometry: Geometry): Readonly<Record<string, readonly number[]>> {
  const { kernel, stride, pad, dilation } = geometry;
  const after = [0, 1].map((axis) => Math.max(0, padAfter(geometry, axis)));
  return { kernel_shape: kernel, strides: stride, pads: [...pad, ...after], dilations: dilation };
}

/** The map's rows behind so many windows (null: all). */
export function rowsBehind(geometry: Geometry, wanted: Int32Array | null): readonly number[] {
  const taps = tapCount(geometry);
  const from = tapRows(geometry);
  const rows = new Set<number>();
  const count = wanted === null ? windowCount(geometry) : wanted.length;
  for (let i = 0; i < count; i++) {
    const start = (wanted === null ? i : wanted[i]) * taps;
    for (let t = start; t < start + taps; t++) if (from[t] >= 0) rows.add(from[t]);
  }
  return [...rows].sort((a, b) => a - b);
}
