/** A map drawn over its image. */
import type { ImageMap } from './image-map.js';

/** Colours of values from 0 to 1: from dark blue over green to yellow, told apart in grey too (viridis). */
export const COLOURS = [
  [68, 1, 84],
  [59, 82, 139],
  [33, 145, 140],
  [94, 201, 98],
  [253, 231, 37],
] as const;

/**
 * The image in grey, coloured by the map: its largest value is 1.
 *
 * @param rgb u8 [height, width, 3]
 * @returns the same shape
 */
export function overlaid(
  rgb: Uint8Array,
  map: ImageMap,
  { height, width }: { readonly height: number; readonly width: number },
): Uint8Array {
  const most = map.values.reduce((a, b) => Math.max(a, b), 0) || 1;
  const out = new Uint8Array(rgb.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const value = interpolated(map, (y + 0.5) / height, (x + 0.5) / width) / most;
      const at = (y * width + x) * 3;
      const grey = 0.299 * rgb[at] + 0.587 * rgb[at + 1] + 0.114 * rgb[at + 2];
      const colour = colourOf(value);
      for (let c = 0; c < 3; c++) out[at + c] = Math.round(0.45 * grey + 0.55 * colour[c]);
    }
  return out;
}

/** Between the centres of the cells, linear in both directions. */
function interpolated({ grid: [rows, cols], values }: ImageMap, v: number, u: number): number {
  const y = Math.max(0, Math.min(rows - 1, v * rows - 0.5));
  const x = Math.max(0, Math.min(cols - 1, u * cols - 0.5));
  const [top, left] = [Math.floor(y), Math.floor(x)];
  const at = (row: number, col: number): number => values[Math.min(row, rows - 1) * cols + Math.min(col, cols - 1)];
  const [fy, fx] = [y - top, x - left];
  return (
    (1 - fy) * ((1 - fx) * at(top, left) + fx * at(top, left + 1)) +
    fy * ((1 - fx) * at(top + 1, left) + fx * at(top + 1, left + 1))
  );
}

function colourOf(value: number): number[] {
  const at = Math.max(0, Math.min(1, value)) * (COLOURS.length - 1);
  const i = Math.min(COLOURS.length - 2, Math.floor(at));
  return COLOURS[i].map((from, c) => from + (COLOURS[i + 1][c] - from) * (at - i));
}
