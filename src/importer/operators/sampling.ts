/** Maps read at places that a constant grid gives (torch's grid_sample). */
import { InputError } from '../../errors.js';
import { scalarFunctions } from '../../graph/scalar.js';
import type { Expr } from '../expr.js';
import type { Operator, OperatorContext } from '../operator.js';
import { Unsupported } from '../problems.js';
import { cubic } from './resize.js';
import { fromPixels, toPixels } from './spatial.js';

/** Pixels along one axis that a place is made of, and how much each counts. */
type Taps = readonly (readonly [position: number, weight: number])[];

interface Sampling {
  readonly mode: string;
  readonly padding: string;
  readonly alignCorners: boolean;
}

const gridSample: Operator = (c) => {
  const [x, grid] = [c.input(0), gridOf(c)];
  if (x.shape.length !== 4 || grid.shape.length !== 4 || grid.shape[3] !== 2)
    throw new Unsupported('a grid over other than two axes', 'images are supported, videos and volumes are not');
  const [n, channels, height, width] = x.shape;
  const [images, down, across] = grid.shape;
  if (images !== n) throw new InputError(`${images} grids for ${n} images`);
  const sampling = {
    mode: c.text('mode', 'linear').replace('bilinear', 'linear').replace('bicubic', 'cubic'),
    padding: c.text('padding_mode', 'zeros'),
    alignCorners: c.int('align_corners', 0) === 1,
  };
  const rows = n * down * across;
  const perAxis = sampling.mode === 'nearest' ? 1 : sampling.mode === 'cubic' ? 4 : 2;
  const taps = perAxis ** 2;
  c.b.budget.make(rows * taps);
  const index = new Int32Array(rows * taps).fill(-1);
  const factors = new Float32Array(rows * taps);
  const { data } = grid;
  for (let row = 0; row < rows; row++) {
    const start = Math.floor(row / (down * across)) * height * width;
    let at = row * taps;
    for (const [v, wv] of tapsAt(data[2 * row + 1], height, sampling))
      for (const [u, wu] of tapsAt(data[2 * row], width, sampling)) {
        index[at] = start + v * width + u;
        factors[at++] = wv * wu;
      }
  }
  return fromPixels(c.b, c.b.mixRows(toPixels(c.b, x), { taps, index, factors }), [n, channels, down, across]);
};

function gridOf(c: OperatorContext): ReturnType<OperatorContext['constant']> {
  if ((c.input(1) as Expr).op !== 'constant')
    throw new Unsupported(
      'the places that are read depend on the image, as in deformable attention',
      'only grids that follow from shapes and weights are supported: export the part before it, such as the backbone',
    );
  return c.constant(1);
}

/** @param at from −1 to 1 */
function tapsAt(at: number, length: number, { mode, padding, alignCorners }: Sampling): Taps {
  const place = alignCorners ? ((at + 1) / 2) * (length - 1) : ((at + 1) * length - 1) / 2;
  const bounded =
    padding === 'border'
      ? clamp(place, length)
      : padding === 'reflection'
        ? reflect(place, length, alignCorners)
        : place;
  const taps =
    mode === 'nearest'
      ? [[scalarFunctions.round(bounded), 1] as const]
      : mode === 'cubic'
        ? around(place, [-1, 0, 1, 2], (d) => cubic(d, -0.75))
        : around(bounded, [0, 1], (d) => 1 - Math.abs(d));
  return taps.flatMap(([position, weight]) => {
    const kept = inside(position, length, padding, alignCorners);
    return kept === null || weight === 0 ? [] : [[kept, weight] as const];
  });
}

const around = (place: number, offsets: readonly number[], weight: (distance: number) => number): Taps =>
  offsets.map((offset) => [Math.floor(place) + offset, weight(Math.floor(place) + offset - place)]);

const clamp = (place: number, length: number): number => Math.min(length - 1, Math.max(0, place));

/** A pixel's position, or what stands for one outside of the map; null: zero. */
function inside(position: number, length: number, padding: string, alignCorners: boolean): number | null {
  if (position >= 0 && position < length) return position;
  if (padding === 'zeros') return null;
  return clamp(padding === 'reflection' ? reflect(position, length, alignCorners) : position, length);
}

/** Mirrored at the first and last pixel's centres, or at their outer borders. */
function reflect(place: number, length: number, alignCorners: boolean): number {
  const [low, high] = alignCorners ? [0, length - 1] : [-0.5, length - 0.5];
  const span = high - low;
  if (span === 0) return 0;
  const distance = Math.abs(place - low) % (2 * span);
  return clamp(low + (distance > span ? 2 * span - distance : distance), length);
}

export const samplingOperators: Readonly<Record<string, Operator>> = { GridSample: gridSample };
