import { findTaps, makeTaps } from '../../kernels/geometry.js';
import { tapsOf } from '../../program/ops/geometry.js';
import type { Geometry } from '../../program/types.js';
import type { IntegerGraph, Tensor } from './graph.js';
import { takePieces } from './value.js';

/** Windows of a map x [pixels, channels]: [windows, taps, channels]; taps outside the map hold `fill`. */
export function cutMap(g: IntegerGraph, x: Tensor, op: Geometry, channels: number, fill: number): Tensor {
  const windows = op.outSize[0] * op.outSize[1];
  const taps = tapsOf(op);
  const index = new Int32Array(windows * taps);
  const pixels = makeTaps(op);
  for (let row = 0; row < windows; row++) {
    findTaps(op, row, pixels);
    index.set(pixels, row * taps);
  }
  return takePieces(g, x, index, { dims: [windows, taps], pieces: op.size[0] * op.size[1], piece: channels, fill });
}
