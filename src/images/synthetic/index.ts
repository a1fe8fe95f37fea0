/**
 * Synthetic photographs, to calibrate on when there are no images: a background of 1/f noise and a gradient, dead
 * leaves (overlapping shapes whose sizes follow a power law, each with its own colour, shading and texture), blur,
 * strokes, a few larger figures in front, and the tones, contrast and colours of natural images.
 *
 * Dead leaves have the edges, occlusion and scaling of natural images: Lee, Mumford and Huang, "Occlusion models for
 * natural images", IJCV 2001; Baradad et al., "Learning to see by looking at noise", NeurIPS 2021, train networks on
 * such images. Exposure, contrast and the strength of colour are set after the statistics of photographs.
 *
 * Nothing but + − × ÷ and square roots makes the pixels, so a seed gives the same image on every machine.
 */
import type { RgbImage } from '../image.js';
import { Random } from '../random.js';
import { Canvas, Palette } from './canvas.js';
import { blur, develop } from './develop.js';
import { noiseTile } from './noise.js';
import { paintBackground, paintFigures, paintLeaves, paintStrokes } from './scene.js';

/**
 * One synthetic photograph of `width` × `height` pixels; every seed gives another. The order is that of a camera: what
 * is far, what is out of focus, what is near, then the exposure.
 */
export function syntheticImage(width: number, height: number, seed: number): RgbImage {
  const random = new Random(seed);
  const canvas = new Canvas(width, height);
  const palette = new Palette(random);
  const textures = Array.from({ length: 3 }, () => noiseTile(random, random.between(0.65, 1.1)));

  paintBackground(canvas, palette, textures, random);
  if (random.uniform() < 0.85) paintLeaves(canvas, palette, textures, random);
  if (random.uniform() < 0.3) blur(canvas, 1 + random.integer(Math.max(1, canvas.scale >> 5)));
  if (random.uniform() < 0.35) paintStrokes(canvas, palette, textures, random);
  if (random.uniform() < 0.75) paintFigures(canvas, palette, textures, random);
  return develop(canvas, random);
}
