/** The golden images of fixtures/resample/make.py. */
import { readFileSync } from 'node:fs';
import type { RgbImage } from '../../src/images/image.js';
import type { Interpolation } from '../../src/images/resample.js';

export interface Source {
  readonly kind: 'noise' | 'extremes';
  readonly seed: number;
  readonly width: number;
  readonly height: number;
}

interface ResizeCase extends Source {
  readonly outWidth: number;
  readonly outHeight: number;
  readonly interpolation: Interpolation;
}

interface RecipeCase extends Source {
  readonly length: number;
  readonly cropHeight: number;
  readonly cropWidth: number;
  readonly interpolation: Interpolation;
}

const folder = new URL('../../fixtures/resample/', import.meta.url);
const listed = JSON.parse(readFileSync(new URL('golden.json', folder), 'utf8')) as {
  pillow: string;
  resizes: ResizeCase[];
  recipes: RecipeCase[];
};
const bytes = new Uint8Array(readFileSync(new URL('golden.bin', folder)));
let offset = 0;
const take = (pixels: number) => bytes.slice(offset, (offset += 3 * pixels));

export const golden = {
  pillow: listed.pillow,
  resizes: listed.resizes.map((one) => ({ ...one, expected: take(one.outWidth * one.outHeight) })),
  recipes: listed.recipes.map((one) => ({ ...one, expected: take(one.cropHeight * one.cropWidth) })),
};
if (offset !== bytes.length) throw new Error('golden.bin and golden.json do not belong together');

/** The source image of a case. */
export function source({ width, height, kind, seed }: Source): RgbImage {
  const data = new Uint8Array(3 * width * height);
  let state = seed;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const high = state >>> 24;
    data[i] = kind === 'noise' ? high : high >= 128 ? 255 : 0;
  }
  return { data, width, height };
}
