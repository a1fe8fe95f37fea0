import type { PatchesOp } from '../program/types.js';

/** Any typed array a value may be held in. */
export type IntegerArray = Uint8Array | Int8Array | Int16Array | Int32Array;

/** Cuts the u8 HWC image into patches, one a row, (ky, kx, channel) within a row; 0 outside the image. */
export function cutPatches(
  op: PatchesOp,
  image: Uint8Array,
  height: number,
  width: number,
  channels: number,
  out: Uint8Array,
): void {
  const [kernelH, kernelW] = op.kernel;
  let at = 0;
  for (let py = 0; py < op.outSize[0]; py++) {
    for (let px = 0; px < op.outSize[1]; px++) {
      for (let ky = 0; ky < kernelH; ky++) {
        const y = py * op.stride[0] - op.pad[0] + ky * op.dilation[0];
        for (let kx = 0; kx < kernelW; kx++) {
          const x = px * op.stride[1] - op.pad[1] + kx * op.dilation[1];
          const inside = y >= 0 && y < height && x >= 0 && x < width;
          for (let c = 0; c < channels; c++) out[at++] = inside ? image[(y * width + x) * channels + c] : 0;
        }
      }
    }
  }
}

/** out piece i = piece index[i] of the sources laid end to end, or `fill` where index[i] is −1. */
export function gatherPieces(
  sources: readonly IntegerArray[],
  piece: number,
  index: Int32Array,
  fill: number,
  out: IntegerArray,
): void {
  const starts: number[] = [];
  let total = 0;
  for (const source of sources) {
    starts.push(total);
    total += source.length;
  }
  index.forEach((from, i) => {
    const at = i * piece;
    if (from < 0) {
      out.fill(fill, at, at + piece);
      return;
    }
    const position = from * piece;
    let s = starts.length - 1;
    while (starts[s] > position) s--;
    const local = position - starts[s];
    out.set(sources[s].subarray(local, local + piece), at);
  });
}
