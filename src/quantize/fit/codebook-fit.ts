/** Which codebook, factors and row scales hold the weights of a layer best: see program/codebook.ts. */
import { LEVEL_BINS, chooseTables, sumsByLevel, type WeighedRows } from '../../calibrate/numerics.js';
import { CODED_LIMIT, FACTORS, levelsOf, type Coding } from '../../program/codebook.js';

/** Inputs that share a factor: 4 bits of it are an eighth of a bit a weight. */
export const GROUP_SIZE = 32;
/** Weights that the codebook is fitted to. */
const SAMPLED_WEIGHTS = 1 << 16;
/** Rounds in which factors are chosen, and then levels. */
const ROUNDS = 4;
/** Steps of Lloyd's algorithm in each. */
const LLOYD_STEPS = 4;

/** How the weights of a layer will be coded, and what one step of each row is. */
export interface CodedScales {
  readonly coding: Coding;
  /** [N]: real value of one step of the decoded weights. */
  readonly scale: Float64Array;
}

/**
 * Chooses row scales by the largest weight; then, in turns, the factor of each group that leaves the least error, and
 * the levels (Lloyd, IEEE Trans. Inf. Theory 28, 1982), one of which stays 0.
 *
 * @param bits of a code, 2 to 7
 */
export function fitCodebook({ weight, importance }: WeighedRows, bits: number): CodedScales {
  const K = importance.length;
  const largest = largestLevel(bits);
  const scale = rowScales(weight, K, decodable(largest));
  const rows = sampleRows(scale.length, K);
  const sampled = { weight: pick(weight, rows, K), importance };
  const steps = Float64Array.from(rows, (n) => scale[n]);
  let levels: Float64Array = Float64Array.from({ length: 2 ** bits }, (_, i) => largest * (i / 2 ** (bits - 1) - 1));
  for (let round = 0; round < ROUNDS; round++) {
    const factor = chooseFactors(sampled, steps, integers(levels));
    levels = lloyd(sampled, steps, factor, levels, largest);
  }
  const codebook = integers(levels);
  const factor = chooseFactors({ weight, importance }, scale, codebook);
  return { coding: { weightBits: bits, groupSize: GROUP_SIZE, codebook, factor }, scale };
}

/** Levels leave room for factors above 1 where they are few, and are fine where they are many. */
function largestLevel(bits: number): number {
  return bits <= 5 ? 88 : 120;
}

/** The largest that can be decoded of such a level. */
function decodable(level: number): number {
  return Math.floor((level * (16 + FACTORS[1]) + 8) / 16) <= CODED_LIMIT ? (level * (16 + FACTORS[1])) / 16 : level;
}

/** The largest weight becomes the largest that can be decoded; a row of zeros takes scale 1. */
function rowScales(weight: Float64Array, K: number, limit: number): Float64Array {
  const scale = new Float64Array(weight.length / K);
  for (let n = 0; n < scale.length; n++) {
    let max = 0;
    for (let k = n * K; k < (n + 1) * K; k++) max = Math.max(max, Math.abs(weight[k]));
    scale[n] = max > 0 ? max / limit : 1;
  }
  return scale;
}

/** Rows, evenly spread, that together have as many weights as are looked at. */
function sampleRows(N: number, K: number): number[] {
  const count = Math.min(N, Math.max(1, Math.ceil(SAMPLED_WEIGHTS / K)));
  return Array.from({ length: count }, (_, i) => Math.floor((i * N) / count));
}

function pick(weight: Float64Array, rows: readonly number[], K: number): Float64Array {
  const picked = new Float64Array(rows.length * K);
  rows.forEach((n, i) => picked.set(weight.subarray(n * K, (n + 1) * K), i * K));
  return picked;
}

function integers(levels: Float64Array): Int8Array {
  return Int8Array.from(levels, (level) => Math.round(level)).sort();
}

/** Of each group the factor that leaves the least error. */
function chooseFactors(weights: WeighedRows, scale: Float64Array, codebook: Int8Array): Int8Array {
  const tables = tablesOf(codebook);
  const factors = [...tables.keys()];
  return Int8Array.from(chooseTables(weights, scale, [...tables.values()], GROUP_SIZE), (place) => factors[place]);
}

/** Levels as means of the weights nearest to them, in steps of their groups, weighed by what their errors cost. */
function lloyd(
  weights: WeighedRows,
  scale: Float64Array,
  factor: Int8Array,
  levels: Float64Array,
  largest: number,
): Float64Array {
  const groups = factor.length / scale.length;
  const unit = Float64Array.from(factor, (of, group) => (scale[Math.floor(group / groups)] * (16 + of)) / 16);
  const zero = levels.length / 2;
  let current = levels;
  for (let step = 0; step < LLOYD_STEPS; step++) {
    const edges = Float64Array.from({ length: current.length - 1 }, (_, i) => (current[i] + current[i + 1]) / 2);
    const { sum, cost } = sumsByLevel(weights, unit, GROUP_SIZE, edges);
    current = current.map((level, i) => {
      if (i === zero) return 0;
      return cost[i] > 0 ? Math.max(-largest, Math.min(largest, sum[i] / cost[i])) : level;
    });
  }
  return current;
}

/** The bin of a weight in steps: where the level nearest to it stands in a table of `nearestLevels`. */
export function binOf(w: number): number {
  return Math.max(0, Math.min(LEVEL_BINS - 1, Math.floor(2 * w) + LEVEL_BINS / 2));
}

/** By bin, the level nearest to what lies in it; halves go up. @param levels sorted */
export function nearestLevels(levels: ArrayLike<number>): Int8Array {
  const table = new Int8Array(LEVEL_BINS);
  let next = 0;
  for (let bin = 0; bin < LEVEL_BINS; bin++) {
    const middle = (bin - LEVEL_BINS / 2) / 2 + 0.25;
    while (next + 1 < levels.length && Math.abs(levels[next + 1] - middle) <= Math.abs(levels[next] - middle)) next++;
    table[bin] = levels[next];
  }
  return table;
}

/** By factor: see `nearestLevels`; factors with which a level would not fit are left out. */
export function tablesOf(codebook: Int8Array): Map<number, Int8Array> {
  const tables = new Map<number, Int8Array>();
  for (let factor: number = FACTORS[0]; factor <= FACTORS[1]; factor++) {
    const levels = levelsOf(codebook, factor);
    if (levels.every((level) => Math.abs(level) <= CODED_LIMIT)) tables.set(factor, nearestLevels(levels));
  }
  return tables;
}
