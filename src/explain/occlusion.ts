import type { Program } from '../program/types.js';
import type { ImageMap } from './image-map.js';

/** Cells across the longer edge of the image. */
const OCCLUSION_CELLS = 14;
const GREY = 128;

/**
 * Occlusion (Zeiler and Fergus, 2014): how far the score falls when a cell of the image is grey. Where it rises, the
 * map is 0.
 *
 * @param pixels u8 HWC
 * @param score of many images, in order
 */
export async function occlusionMap(
  { height, width, channels }: Program['input'],
  pixels: Uint8Array,
  score: (images: readonly Uint8Array[]) => Promise<number[]>,
): Promise<ImageMap> {
  const cell = Math.ceil(Math.max(height, width) / OCCLUSION_CELLS);
  const grid = [Math.ceil(height / cell), Math.ceil(width / cell)] as const;
  const covered = Array.from({ length: grid[0] * grid[1] }, (_, i) => {
    const [top, left] = [Math.floor(i / grid[1]) * cell, (i % grid[1]) * cell];
    const image = pixels.slice();
    for (let y = top; y < Math.min(top + cell, height); y++)
      image.fill(GREY, (y * width + left) * channels, (y * width + Math.min(left + cell, width)) * channels);
    return image;
  });
  const [whole, ...others] = await score([pixels, ...covered]);
  return { title: 'occlusion', grid, values: Float64Array.from(others, (one) => Math.max(0, whole - one)) };
}
