import type { DepthwiseOp } from '../program/types.js';

/**
 * A depthwise convolution at one window of a map x [height·width, channels]:
 *
 *     v[n] = Σ_t weight[t, n]·x[pixels[t], n]           (taps outside the map, pixel −1, are 0)
 *
 * Exact. The program's proof keeps |v| below 2^31.
 *
 * @param pixels where the taps lie, as `findTaps` says
 * @param v [cols], overwritten
 */
export function depthwiseRow(
  { cols, weight }: Pick<DepthwiseOp, 'cols' | 'weight'>,
  x: Int16Array,
  pixels: Int32Array,
  v: Int32Array,
): void {
  v.fill(0);
  pixels.forEach((pixel, t) => {
    if (pixel < 0) return;
    for (let n = 0; n < cols; n++) v[n] += weight[t * cols + n] * x[pixel * cols + n];
  });
}
