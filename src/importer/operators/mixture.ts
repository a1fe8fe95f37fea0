/** Maps whose pixels are weighted sums of rows: average pooling, resizing, and windows laid over each other. */
import { InputError } from '../../errors.js';
import type { Expr, Mix } from '../expr.js';
import type { ExprBuilder } from '../expr-builder.js';
import type { Operator } from '../operator.js';
import { fromPixels, onMap, pairOf, slidingOf, toPixels } from './spatial.js';

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

/** Windows [N, C·taps, windows] laid over each other: what lies on a pixel is summed (torch's Fold). */
const col2Im: Operator = (c) => {
  const x = c.input(0);
  const [given, block] = [c.integers(1), c.integers(2)];
  const [size, kernel] = [pairOf(given, 1), pairOf(block, 1)];
  const { strides, dilations, pads } = onMap(slidingOf(c, block, given));
  const counts = size.map((length, axis) => {
    const room = length + pads[axis] + pads[axis + 2] - dilations[axis] * (kernel[axis] - 1) - 1;
    return Math.floor(room / strides[axis]) + 1;
  });
  const [n, width, windows] = x.shape;
  const taps = kernel[0] * kernel[1];
  if (windows !== counts[0] * counts[1] || width % taps !== 0)
    throw new InputError(`windows [${width}, ${windows}] do not make a map of ${size.join('×')}`);
  // Along an axis: by position, which taps of which windows lie on it.
  const axes = size.map((length, axis) => {
    const on = Array.from({ length }, (): [tap: number, window: number][] => []);
    for (let window = 0; window < counts[axis]; window++)
      for (let tap = 0; tap < kernel[axis]; tap++)
        on[window * strides[axis] - pads[axis] + tap * dilations[axis]]?.push([tap, window]);
    return on;
  });
  const most = axes.map((on) => Math.max(1, ...on.map((list) => list.length))).reduce((a, b) => a * b);
  const pixels = size[0] * size[1];
  c.b.budget.make(n * pixels * most);
  const index = new Int32Array(n * pixels * most).fill(-1);
  for (let row = 0; row < n * pixels; row++) {
    const [image, pixel] = [Math.floor(row / pixels), row % pixels];
    let at = row * most;
    for (const [ky, wy] of axes[0][Math.floor(pixel / size[1])])
      for (const [kx, wx] of axes[1][pixel % size[1]])
        index[at++] = (image * taps + ky * kernel[1] + kx) * windows + wy * counts[1] + wx;
  }
  const split = c.b.reshape(x, [n, width / taps, taps, windows]);
  const rows = c.b.reshape(c.b.transpose(split, [0, 2, 3, 1]), [n * taps * windows, width / taps]);
  const mix = { taps: most, index, factors: Float32Array.from(index, (from) => (from < 0 ? 0 : 1)) };
  const map = fromPixels(c.b, c.b.mixRows(rows, mix), [n, width / taps, ...size]);
  return given.length === 1 ? c.b.reshape(map, [n, width / taps, given[0]]) : map;
};

export const mixtureOperators: Readonly<Record<string, Operator>> = { Col2Im: col2Im };
