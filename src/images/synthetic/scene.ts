/** The layers of a scene, from the background to the figures in front. */
import type { Random } from '../random.js';
import { direction } from './canvas.js';
import type { Canvas, Palette } from './canvas.js';
import { TILE, smoothLookup } from './noise.js';
import { BOX, ELLIPSE, makeShape, paint } from './shape.js';
import { makeSurface } from './surface.js';

export function paintBackground(
  canvas: Canvas,
  palette: Palette,
  textures: readonly Float32Array[],
  random: Random,
): void {
  const { data, width, height, scale } = canvas;
  const from = palette.color();
  const to = palette.color();
  const [dx, dy] = random.uniform() < 0.5 ? [0, 1] : direction(random);
  const span = Math.abs(dx) * width + Math.abs(dy) * height;
  const strength = random.uniform() * 0.3;
  const tint = palette.color();
  const [light, hue] = textures as [Float32Array, Float32Array];
  const step = (TILE / scale) * random.between(0.3, 1);
  const start = random.integer(TILE);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const along = 0.5 + ((x - width / 2) * dx + (y - height / 2) * dy) / span;
      const brightness = strength * smoothLookup(light, x * step, start + y * step);
      const tinted = 0.2 * strength * smoothLookup(hue, x * step, start + y * step);
      const i = 3 * (y * width + x);
      for (let c = 0; c < 3; c++) {
        const base = from[c]! + along * (to[c]! - from[c]!);
        data[i + c] = base + brightness + tinted * (tint[c]! - base);
      }
    }
  }
}

/** Radii with density r⁻³ between the two bounds: what makes dead leaves look the same at every scale. */
function powerLaw(random: Random, smallest: number, largest: number): number {
  const low = 1 / (largest * largest);
  const high = 1 / (smallest * smallest);
  return 1 / Math.sqrt(random.between(low, high));
}

export function paintLeaves(canvas: Canvas, palette: Palette, textures: readonly Float32Array[], random: Random): void {
  const { width, height, scale } = canvas;
  const smallest = scale * random.between(0.01, 0.08);
  const largest = scale * random.between(0.15, 0.6);
  const softness = random.uniform() < 0.6 ? 1 : random.between(1, 0.03 * scale + 1);
  // The area painted, in multiples of the image's: below 1 the background shows.
  let area = random.between(0.3, 4) * width * height;
  while (area > 0) {
    const radius = powerLaw(random, smallest, Math.max(largest, smallest));
    const x = random.between(-radius, width + radius);
    const y = random.between(-radius, height + radius);
    paint(canvas, makeShape(random, { radius, x, y, softness }), makeSurface(palette, textures, random, radius));
    area -= 2 * radius * radius;
  }
}

/** Many thin shapes that lie much the same way: grass, hair, branches, bars. */
export function paintStrokes(
  canvas: Canvas,
  palette: Palette,
  textures: readonly Float32Array[],
  random: Random,
): void {
  const { width, height, scale } = canvas;
  const [cos, sin] = direction(random);
  const disorder = random.uniform() * random.uniform();
  const length = scale * random.between(0.05, 0.5);
  const thickness = scale * random.between(0.003, 0.02);
  const surfaces = Array.from({ length: 4 }, () => makeSurface(palette, textures, random, length));
  const x = random.between(0, width);
  const y = random.between(0, height);
  const spread = scale * random.between(0.2, 1);
  for (let strokes = 20 + random.integer(150); strokes > 0; strokes--) {
    const [dx, dy] = direction(random);
    const along = cos + disorder * dx;
    const across = sin + disorder * dy;
    const norm = Math.sqrt(along * along + across * across);
    const shape = {
      kind: random.uniform() < 0.5 ? ELLIPSE : BOX,
      x: x + spread * random.normal(),
      y: y + spread * random.normal(),
      ru: length * random.between(0.3, 1),
      rv: Math.max(0.6, thickness * random.between(0.3, 1)),
      cos: along / norm,
      sin: across / norm,
      softness: 1,
      bulge: 0,
    };
    paint(canvas, shape, surfaces[random.integer(surfaces.length)]!);
  }
}

/** One to three figures, each of several overlapping parts with related surfaces: bodies, limbs, things. */
export function paintFigures(
  canvas: Canvas,
  palette: Palette,
  textures: readonly Float32Array[],
  random: Random,
): void {
  const { width, height, scale } = canvas;
  for (let figures = 1 + random.integer(3); figures > 0; figures--) {
    const size = scale * random.between(0.12, 0.4);
    const x = width * random.between(0.2, 0.8);
    const y = height * random.between(0.2, 0.8);
    const skin = makeSurface(palette, textures, random, size);
    const roundness = random.uniform() < 0.6 ? 1 : 0.3;
    for (let parts = 2 + random.integer(9); parts > 0; parts--) {
      const radius = size * random.between(0.15, 0.8);
      const shape = makeShape(random, {
        radius,
        x: x + 0.6 * size * random.normal(),
        y: y + 0.6 * size * random.normal(),
        softness: 1,
        roundness,
      });
      const detail = random.uniform() < 0.35 ? makeSurface(palette, textures, random, radius) : skin;
      paint(canvas, shape, detail);
    }
  }
}
