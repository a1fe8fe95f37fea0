import type { PatchesOp } from '../program/types.js';

/**
 * Cuts the u8 image [height, width, channels] into patches, one a row: [patches, kernel·kernel·channels] in (ky, kx,
 * channel) order. Pixels outside the image read 0.
 */
export function cutPatches(
  op: PatchesOp,
  image: Uint8Array,
  { height, width, channels }: { readonly height: number; readonly width: number; readonly channels: number },
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
