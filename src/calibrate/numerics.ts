/**
 * The float numerics of quantization, compiled: native/quantizer/numerics.c. Everything else of the float model is left
 * to ONNX Runtime.
 */
import { readFileSync } from 'node:fs';
import { packageFile } from '../package-root.js';

type Elements = Float32Array | Float64Array | Int8Array | Uint8Array | Uint32Array;
interface ElementType<T extends Elements> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, offset: number, length: number): T;
}

interface Exports {
  readonly memory: WebAssembly.Memory;
  heapBase(): number;
  observe(x: number, rows: number, channels: number, low: number, high: number, sum: number, squares: number): void;
  countInBins(x: number, rows: number, channels: number, toBin: number, bins: number, counts: number): void;
  addWeighted(x: number, rows: number, width: number, weight: number, sum: number): void;
  centre(x: number, rows: number, width: number, weight: number, mean: number): void;
  cholesky(a: number, n: number): number;
  invertLower(a: number, n: number, row: number): void;
  roundInOrder(
    weight: number,
    rows: number,
    n: number,
    factor: number,
    levels: number,
    table: number,
    pending: number,
    quantized: number,
  ): void;
  chooseTables(
    weight: number,
    rows: number,
    n: number,
    importance: number,
    step: number,
    levels: number,
    tables: number,
    group: number,
    chosen: number,
  ): void;
  addToLevels(
    weight: number,
    rows: number,
    n: number,
    importance: number,
    unit: number,
    group: number,
    edges: number,
    count: number,
    sum: number,
    cost: number,
  ): void;
}

const PAGE = 1 << 16;
const ALIGNMENT = 64;
/** Columns that the Cholesky factor is worked out by: as many rows may be read behind the matrix. */
const COLUMNS = 4;

let loaded: Exports | undefined;

function exportsOf(): Exports {
  if (loaded === undefined) {
    const module = new WebAssembly.Module(readFileSync(packageFile('dist/quantizer.wasm')));
    loaded = new WebAssembly.Instance(module).exports as unknown as Exports;
  }
  return loaded;
}

/** A call's operands in the module's memory, one after the other; the next call takes the same place. */
class Operands {
  readonly #exports = exportsOf();
  #end = this.#exports.heapBase();

  /** Room for an array. @returns its address */
  reserve(bytes: number): number {
    const at = Math.ceil(this.#end / ALIGNMENT) * ALIGNMENT;
    this.#end = at + bytes;
    const { memory } = this.#exports;
    const missing = this.#end - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
    return at;
  }

  put(array: Elements): number {
    const at = this.reserve(array.byteLength);
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    new Uint8Array(this.#exports.memory.buffer, at, array.byteLength).set(bytes);
    return at;
  }

  /** Copies what lies at an address into `array`. */
  take<T extends Elements>(at: number, array: T): T {
    const type = array.constructor as ElementType<T>;
    array.set(new type(this.#exports.memory.buffer, at, array.length));
    return array;
  }
}

/** What values [rows, channels] tell of each channel: arrays of [channels]. */
export interface ChannelMoments {
  readonly rows: number;
  readonly low: Float32Array;
  readonly high: Float32Array;
  readonly sum: Float64Array;
  readonly squares: Float64Array;
}

/** Ranges, sums and sums of squares of values [rows, channels]. A NaN shows in the sums alone. */
export function momentsOf(values: Float32Array, channels: number): ChannelMoments {
  const rows = values.length / channels;
  const low = new Float32Array(channels).fill(Infinity);
  const high = new Float32Array(channels).fill(-Infinity);
  const [sum, squares] = [new Float64Array(channels), new Float64Array(channels)];
  const operands = new Operands();
  const at = [values, low, high, sum, squares].map((array) => operands.put(array));
  exportsOf().observe(at[0], rows, channels, at[1], at[2], at[3], at[4]);
  [low, high, sum, squares].forEach((array, i) => operands.take(at[i + 1], array));
  return { rows, low, high, sum, squares };
}

/**
 * Counts values [rows, channels] in bins of each channel, the middle of which is 0.
 *
 * @param toBin [channels]: what makes bins of values; every value must lie in one of the bins
 * @returns [channels, bins]
 */
export function countInBins(values: Float32Array, toBin: Float64Array, bins: number): Uint32Array {
  const counts = new Uint32Array(toBin.length * bins);
  const operands = new Operands();
  const [x, factors, to] = [values, toBin, counts].map((array) => operands.put(array));
  exportsOf().countInBins(x, values.length / toBin.length, toBin.length, factors, bins, to);
  return operands.take(to, counts);
}

/** Elements of rows that are handed over at a time: they stay in near memory meanwhile. */
const CHUNK = 1 << 16;

/**
 * Makes of rows [rows, width], in place, rows minus their weighted mean, times the root of their weight.
 *
 * @param rowWeight [rows]
 * @returns the mean, [width]
 */
export function centreRows(rows: Float32Array, width: number, rowWeight: Float32Array): Float64Array {
  const { addWeighted, centre } = exportsOf();
  const mean = new Float64Array(width);
  inChunks(rows, width, rowWeight, (operands, { x, count, weight }) => {
    const sum = operands.put(mean);
    addWeighted(x, count, width, weight, sum);
    operands.take(sum, mean);
  });
  const total = rowWeight.reduce((sum, weight) => sum + weight, 0);
  for (let c = 0; c < width; c++) mean[c] /= total;
  inChunks(rows, width, rowWeight, (operands, { x, count, weight }, chunk) => {
    centre(x, count, width, weight, operands.put(mean));
    operands.take(x, chunk);
  });
  return mean;
}

/** Some rows in the module's memory: the addresses of them and of their weights. */
interface Rows {
  readonly x: number;
  readonly count: number;
  readonly weight: number;
}

/** Puts some rows at a time, and their weights, into the module's memory. */
function inChunks(
  rows: Float32Array,
  width: number,
  rowWeight: Float32Array,
  use: (operands: Operands, at: Rows, chunk: Float32Array) => void,
): void {
  const most = Math.max(1, Math.floor(CHUNK / width));
  for (let from = 0; from < rowWeight.length; from += most) {
    const operands = new Operands();
    const chunk = rows.subarray(from * width, (from + most) * width);
    const weights = rowWeight.subarray(from, from + most);
    use(operands, { x: operands.put(chunk), count: weights.length, weight: operands.put(weights) }, chunk);
  }
}

/**
 * Cholesky factor L (lower, A = L·Lᵀ) of a symmetric positive definite [n, n] matrix, in place of its lower triangle;
 * the upper one is zeroed.
 *
 * @returns false where A is not positive definite to working precision
 */
export function cholesky(a: Float64Array, n: number): boolean {
  const operands = new Operands();
  const at = operands.put(a);
  operands.reserve(COLUMNS * n * Float64Array.BYTES_PER_ELEMENT);
  const isDefinite = exportsOf().cholesky(at, n) === 1;
  operands.take(at, a);
  return isDefinite;
}

/** L⁻¹ of a lower triangular [n, n] matrix, in place. */
export function invertLower(a: Float64Array, n: number): void {
  const operands = new Operands();
  const at = operands.put(a);
  exportsOf().invertLower(at, n, operands.reserve(n * Float64Array.BYTES_PER_ELEMENT));
  operands.take(at, a);
}

/** Output channels that are rounded together, so that a row of the factor is read from near memory. */
const ROWS_AT_ONCE = 16;

/** The levels that weights may take: by table and bin of half a step, from −128 on, the nearest. */
export interface WeightLevels {
  /** [tables, 512]. */
  readonly levels: Int8Array;
  /** [rows, K]: the table of each weight. */
  readonly table: Uint8Array;
}

/**
 * Rounds weights in steps of their row to levels, the last channel first, each error passed on to the channels still to
 * come: q_k = round(w_k + Σ_{i>k} (w_i − q_i)·L[i,k]/L[k,k]).
 *
 * @param weight [rows, K]
 * @param factor [K, K]: the Cholesky factor L of the Gram matrix, channels in the same order
 * @returns [rows, K]
 */
export function roundInSteps(
  weight: Float64Array,
  factor: Float64Array,
  K: number,
  { levels, table }: WeightLevels,
): Int8Array {
  const quantized = new Int8Array(weight.length);
  const operands = new Operands();
  const [factorAt, levelsAt] = [operands.put(factor), operands.put(levels)];
  const [weightAt, tableAt, pending, to] = [8, 1, 8, 1].map((bytes) => operands.reserve(ROWS_AT_ONCE * K * bytes));
  const { memory, roundInOrder } = exportsOf();
  for (let from = 0; from < weight.length; from += ROWS_AT_ONCE * K) {
    const some = weight.subarray(from, from + ROWS_AT_ONCE * K);
    new Float64Array(memory.buffer, weightAt, some.length).set(some);
    new Uint8Array(memory.buffer, tableAt, some.length).set(table.subarray(from, from + some.length));
    new Float64Array(memory.buffer, pending, some.length).fill(0);
    roundInOrder(weightAt, some.length / K, K, factorAt, levelsAt, tableAt, pending, to);
    operands.take(to, quantized.subarray(from, from + some.length));
  }
  return quantized;
}

/** Weights [rows, K], and what an error of each costs. */
export interface WeighedRows {
  readonly weight: Float64Array;
  /** [K]: cost of a squared error of one. */
  readonly importance: Float64Array;
}

/** Bins of half a step that tables of levels have: no two levels are equally near to what lies inside of one. */
export const LEVEL_BINS = 512;
/** Tables that `chooseTables` can tell apart. */
const TABLES = 16;

/**
 * Of each group of successive weights of a row, the table whose levels leave the least error; of several the first.
 *
 * @param step [rows]: real value of one step
 * @param tables at most 16, of the nearest levels by bin (see `WeightLevels`)
 * @returns [rows, groups]: places in `tables`
 */
export function chooseTables(
  { weight, importance }: WeighedRows,
  step: Float64Array,
  tables: readonly Int8Array[],
  groupSize: number,
): Uint8Array {
  const K = importance.length;
  const byBin = new Int8Array(LEVEL_BINS * TABLES);
  tables.forEach((levels, t) => levels.forEach((level, bin) => (byBin[bin * TABLES + t] = level)));
  const chosen = new Uint8Array(step.length * Math.ceil(K / groupSize));
  const operands = new Operands();
  const [weightAt, importanceAt, stepAt, levelsAt, to] = [weight, importance, step, byBin, chosen].map((array) =>
    operands.put(array),
  );
  const { chooseTables: choose } = exportsOf();
  choose(weightAt, step.length, K, importanceAt, stepAt, levelsAt, tables.length, groupSize, to);
  return operands.take(to, chosen);
}

/**
 * A step of Lloyd's algorithm: for each level the sum of the weights that are nearest to it, in steps of their groups,
 * weighed by what their errors cost, and the sum of these costs.
 *
 * @param unit [rows, groups]: real value of one step
 * @param edges between the levels, ascending
 */
export function sumsByLevel(
  { weight, importance }: WeighedRows,
  unit: Float64Array,
  groupSize: number,
  edges: Float64Array,
): { readonly sum: Float64Array; readonly cost: Float64Array } {
  const K = importance.length;
  const [sum, cost] = [new Float64Array(edges.length + 1), new Float64Array(edges.length + 1)];
  const operands = new Operands();
  const at = [weight, importance, unit, edges, sum, cost].map((array) => operands.put(array));
  const { addToLevels } = exportsOf();
  addToLevels(at[0], weight.length / K, K, at[1], at[2], groupSize, at[3], edges.length, at[4], at[5]);
  return { sum: operands.take(at[4], sum), cost: operands.take(at[5], cost) };
}
