import { outputRange } from '../kernels/output.js';
import type { Output } from '../program/types.js';
import type { IntegerArray } from '../program/value.js';
import type { IntegerHistogram } from './types.js';

const BINS = 64;

/** Counts integers of one type. */
export class IntegerCounts {
  readonly #ends: readonly [number, number];
  readonly #type: string;
  #step: number;
  #counts = new Float64Array(BINS);
  #total = 0;
  #atEnds = 0;

  constructor(out: Output) {
    const { lo, hi } = out.type === 'rows' ? { lo: 1, hi: 255 } : outputRange(out);
    const zero = out.type === 'u8' ? out.zero : 0;
    this.#type = out.type;
    this.#ends = [lo + zero, hi + zero];
    // Values of 16 bits and more may take a small part of their type: the intervals double as they need it.
    this.#step = out.type === 'i32' || out.type === 'i16' ? 1 : 4;
  }

  add(values: IntegerArray): void {
    const [low, high] = this.#ends;
    for (const value of values) {
      while (this.#bin(value) < 0 || this.#bin(value) >= BINS) this.#widen();
      this.#counts[this.#bin(value)]++;
      if (value <= low || value >= high) this.#atEnds++;
    }
    this.#total += values.length;
  }

  result(): IntegerHistogram {
    return {
      type: this.#type,
      ends: this.#ends,
      atEnds: this.#total === 0 ? 0 : this.#atEnds / this.#total,
      from: this.#first,
      step: this.#step,
      counts: Array.from(this.#counts),
    };
  }

  get #first(): number {
    return this.#type === 'u8' || this.#type === 'rows' ? 0 : (-BINS / 2) * this.#step;
  }

  #bin(value: number): number {
    return Math.floor((value - this.#first) / this.#step);
  }

  #widen(): void {
    const wider = new Float64Array(BINS);
    for (let b = 0; b < BINS; b++) wider[(b + BINS / 2) >> 1] += this.#counts[b];
    this.#counts = wider;
    this.#step *= 2;
  }
}

/** The weights of a layer in steps of their own channel's scale. */
export function weightHistogram(weights: Int8Array, bits: number): IntegerHistogram {
  const most = 2 ** (bits - 1) - 1;
  const step = bits === 8 ? 4 : 1;
  const from = -((most + 1) / step) * step;
  const counts = new Array<number>((2 * (most + 1)) / step).fill(0);
  let atEnds = 0;
  for (const weight of weights) {
    counts[Math.floor((weight - from) / step)]++;
    if (Math.abs(weight) === most) atEnds++;
  }
  return { type: `${bits} bits`, ends: [-most, most], atEnds: atEnds / weights.length, from, step, counts };
}
