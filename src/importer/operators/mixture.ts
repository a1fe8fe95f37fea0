/** Maps whose pixels are weighted sums of a map's pixels: average pooling and resizing. */
import type { Expr, Mix } from '../expr.js';
import type { ExprBuilder } from '../expr-builder.js';
import { fromPixels, toPixels } from './spatial.js';

/** For each position along an axis of the result: which positions count, and how much. */
export type AxisTaps = readonly (readonly (readonly [position: number, weight: number])[])[];

/** Taps of a pixel that are summed at once; more are summed along one axis after the other. */
const MOST_TAPS = 9;

/** A map [N, C, H, W] mixed along both axes; null: as it is along that one. */
export function mixture(b: ExprBuilder, x: Expr, axes: readonly [AxisTaps | null, AxisTaps | null]): Expr {
  const [down, across] = axes.map((taps) => taps && merged(taps));
  if (down && across && mostTaps(down) * mostTaps(across) > MOST_TAPS)
    return mixture(b, mixture(b, x, [down, null]), [null, across]);
  const [n, channels, height, width] = x.shape;
  const rows = down ?? same(height);
  const columns = across ?? same(width);
  const mix = mixOf(b, rows, columns, { n, height, width });
  return fromPixels(b, b.mixRows(toPixels(b, x), mix), [n, channels, rows.length, columns.length]);
}

const same = (length: number): AxisTaps => Array.from({ length }, (_, i) => [[i, 1]]);

const mostTaps = (taps: AxisTaps): number => taps.reduce((most, list) => Math.max(most, list.length), 0);

/** Every position once, those that do not count left out. */
function merged(taps: AxisTaps): AxisTaps {
  return taps.map((list) => {
    const sums = new Map<number, number>();
    for (const [position, weight] of list) sums.set(position, (sums.get(position) ?? 0) + weight);
    return [...sums].filter(([, weight]) => weight !== 0);
  });
}

function mixOf(
  b: ExprBuilder,
  down: AxisTaps,
  across: AxisTaps,
  { n, height, width }: { readonly n: number; readonly height: number; readonly width: number },
): Mix {
  const taps = Math.max(1, mostTaps(down) * mostTaps(across));
  b.budget.make(n * down.length * across.length * taps);
  const index = new Int32Array(n * down.length * across.length * taps).fill(-1);
  const factors = new Float32Array(index.length);
  let row = 0;
  for (let image = 0; image < n; image++)
    for (const rows of down)
      for (const columns of across) {
        let at = row++ * taps;
        for (const [y, wy] of rows)
          for (const [x, wx] of columns) {
            index[at] = (image * height + y) * width + x;
            factors[at++] = wy * wx;
          }
      }
  return { taps, index, factors };
}
