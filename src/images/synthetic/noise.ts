/** Tiles of noise: the texture of surfaces and backgrounds. */
import type { Random } from '../random.js';

/** The edge of a noise tile, a power of two: coordinates wrap by masking. */
export const TILE = 256;

/**
 * A tile of noise with mean 0 and variance 1 that repeats seamlessly: white noise on grids of 2, 4, … 256, each
 * smoothly upsampled and added to the next. `decay` is the ratio of amplitudes from octave to octave: 1 gives a 1/f²
 * power spectrum, as natural images have; ½ gives clouds.
 */
export function noiseTile(random: Random, decay: number): Float32Array {
  let tile: Float32Array = new Float32Array(1);
  let amplitude = 1;
  for (let edge = 2; edge <= TILE; edge *= 2) {
    tile = upsample(tile, edge >> 1);
    let bits = 0;
    for (let i = 0; i < tile.length; i++) {
      // A byte is fine enough: four of them to a draw.
      bits = (i & 3) === 0 ? random.uint32() : bits >>> 8;
      tile[i] += amplitude * ((bits & 255) - 127.5);
    }
    amplitude *= decay;
  }
  let sum = 0;
  let squares = 0;
  for (const value of tile) {
    sum += value;
    squares += value * value;
  }
  const mean = sum / tile.length;
  const factor = 1 / Math.sqrt(squares / tile.length - mean * mean);
  for (let i = 0; i < tile.length; i++) tile[i] = (tile[i]! - mean) * factor;
  return tile;
}

/** Twice as many samples each way, by the weights ¾ and ¼ of bilinear interpolation, wrapping around. */
function upsample(tile: Float32Array, edge: number): Float32Array {
  const out = new Float32Array(4 * tile.length);
  const mask = edge - 1;
  for (let y = 0; y < 2 * edge; y++) {
    const near = edge * (y >> 1);
    const far = edge * (((y >> 1) + (y & 1 ? 1 : -1)) & mask);
    for (let x = 0; x < edge; x++) {
      const left = (x - 1) & mask;
      const right = (x + 1) & mask;
      const middle = 0.75 * tile[near + x]! + 0.25 * tile[far + x]!;
      out[2 * edge * y + 2 * x] = 0.75 * middle + 0.25 * (0.75 * tile[near + left]! + 0.25 * tile[far + left]!);
      out[2 * edge * y + 2 * x + 1] = 0.75 * middle + 0.25 * (0.75 * tile[near + right]! + 0.25 * tile[far + right]!);
    }
  }
  return out;
}

/** A tile between its samples, by bilinear interpolation. */
export function smoothLookup(tile: Float32Array, x: number, y: number): number {
  const column = Math.floor(x);
  const row = Math.floor(y);
  const fx = x - column;
  const fy = y - row;
  const left = column & (TILE - 1);
  const right = (column + 1) & (TILE - 1);
  const above = (row & (TILE - 1)) * TILE;
  const below = ((row + 1) & (TILE - 1)) * TILE;
  const upper = tile[above + left]! + fx * (tile[above + right]! - tile[above + left]!);
  const lower = tile[below + left]! + fx * (tile[below + right]! - tile[below + left]!);
  return upper + fy * (lower - upper);
}
