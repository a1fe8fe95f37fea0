import type { Geometry } from '../program/types.js';
import { floorDivide } from './dyadic.js';

/**
 * The pixels that the taps of output row `row` read, in (ky, kx) order: line·width + column; −1 outside the map.
 *
 * @param pixels [taps], overwritten
 */
export function findTaps(
  { size: [height, width], kernel, stride, pad, dilation, outSize }: Geometry,
  row: number,
  pixels: Int32Array,
): void {
  const [down, across] = [floorDivide(row, outSize[1]), row % outSize[1]];
  let tap = 0;
  for (let ky = 0; ky < kernel[0]; ky++) {
    const y = down * stride[0] - pad[0] + ky * dilation[0];
    for (let kx = 0; kx < kernel[1]; kx++) {
      const x = across * stride[1] - pad[1] + kx * dilation[1];
      pixels[tap++] = y >= 0 && y < height && x >= 0 && x < width ? y * width + x : -1;
    }
  }
}

/** Room for the taps of a window. */
export const makeTaps = ({ kernel }: Geometry): Int32Array => new Int32Array(kernel[0] * kernel[1]);
