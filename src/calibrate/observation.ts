/** What calibration keeps of the float model's values: taken where they are computed, as the values are large. */
import { momentsOf, type ChannelMoments } from './numerics.js';

/** What is wanted of a value [rows, channels] of one image. */
export interface Observation {
  readonly channels: number;
  /** Only so many rows are looked at, the first ones; null: all. */
  readonly first: number | null;
  readonly moments: boolean;
  /** Which rows are wanted; null: none. */
  readonly rows: Int32Array | null;
  /** Whether all of it is. */
  readonly whole: boolean;
}

export interface Observed {
  readonly moments: ChannelMoments | null;
  /** [rows wanted, channels]. */
  readonly rows: Float32Array | null;
  /** A copy. */
  readonly whole: Float32Array | null;
}

export function observe(all: Float32Array, { channels, first, moments, rows, whole }: Observation): Observed {
  const value = first === null ? all : all.subarray(0, first * channels);
  return {
    moments: moments ? momentsOf(value, channels) : null,
    rows: rows === null ? null : takeRows(value, channels, rows),
    whole: whole ? value.slice() : null,
  };
}

function takeRows(value: Float32Array, channels: number, rows: Int32Array): Float32Array {
  const taken = new Float32Array(rows.length * channels);
  rows.forEach((r, i) => taken.set(value.subarray(r * channels, (r + 1) * channels), i * channels));
  return taken;
}

/** The memory of what was observed, which may go to another thread. */
export function buffersOf({ moments, rows, whole }: Observed): ArrayBuffer[] {
  const arrays = [moments?.low, moments?.high, moments?.sum, moments?.squares, rows, whole];
  return arrays.flatMap((array) => (array ? [array.buffer as ArrayBuffer] : []));
}
