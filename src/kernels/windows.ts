import type { Geometry } from '../program/types.js';
import type { IntegerArray } from '../program/value.js';
import { findTaps, makeTaps } from './geometry.js';

/**
 * Cuts a map x [height·width, channels] into windows, one a row: [windows, kernel·kernel·channels] in (ky, kx, channel)
 * order. Taps outside the map hold `fill`.
 */
export function cutWindows(
  geometry: Geometry,
  x: IntegerArray,
  channels: number,
  fill: number,
  out: IntegerArray,
): void {
  const pixels = makeTaps(geometry);
  const rows = geometry.outSize[0] * geometry.outSize[1];
  let at = 0;
  for (let r = 0; r < rows; r++) {
    findTaps(geometry, r, pixels);
    for (const pixel of pixels) {
      if (pixel < 0) out.fill(fill, at, at + channels);
      else out.set(x.subarray(pixel * channels, (pixel + 1) * channels), at);
      at += channels;
    }
  }
}

/** The largest tap inside the map x [height·width, channels] of each window and channel: [windows, channels]. */
export function poolMaxima(geometry: Geometry, x: IntegerArray, channels: number, out: IntegerArray): void {
  const pixels = makeTaps(geometry);
  const rows = geometry.outSize[0] * geometry.outSize[1];
  for (let r = 0; r < rows; r++) {
    findTaps(geometry, r, pixels);
    const inside = pixels.filter((pixel) => pixel >= 0);
    for (let n = 0; n < channels; n++) {
      let most = -Infinity;
      for (const pixel of inside) most = Math.max(most, x[pixel * channels + n]);
      out[r * channels + n] = most;
    }
  }
}
