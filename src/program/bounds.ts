/**
 * The overflow proof: for any image whatever, no intermediate result of a program leaves the width that the engines hold
 * it in. It needs the file's own numbers alone (weights, biases, multipliers, the clamps of each type) and is carried out
 * in integers: of unlimited size where 2^53 does not hold them.
 */
import { InputError } from '../errors.js';
import { ROW_LIMIT, WIDE_LIMIT, outputRange } from './limits.js';
import type {
  ActivationOp,
  AttentionOp,
  LayerNormOp,
  LinearOp,
  Op,
  PaperGeluOp,
  PaperNormOp,
  PaperSoftmax,
  Program,
} from './types.js';
import { valuesOf } from './validate.js';
import type { ValueInfo } from './validate.js';

/** Results and limits as powers of two: |v| < 2^bits. */
const ACCUMULATOR_BITS = 31;
/** Linear layers with `i16` inputs accumulate two planes of 8 bits. */
const WIDE_ACCUMULATOR_BITS = 40;
const PRODUCT_BITS = 63;
const NORMALIZED = 1n << 30n;
/** |o| of attention: |Σ w·v| ≤ 127·Σw, times ⌊2^31/Σw⌋, shifted right by 8. */
const ATTENDED = 127n << 23n;

/**
 * Proves that no op can overflow.
 *
 * @param program one that `validateProgram` has passed
 * @throws InputError naming the first op for which the proof fails
 */
export function proveNoOverflow(program: Program): void {
  const values = valuesOf(program);
  for (const op of program.ops) {
    // Of most layers the number of weights proves it, which spares whoever loads a model a look at millions of them.
    if (op.op === 'linear' && fitsAnyWeights(op, values[op.x])) continue;
    accumulatorBound(op, values);
  }
}

/**
 * Proves that no op can overflow, and tells how large its numbers can become.
 *
 * @param program one that `validateProgram` has passed
 * @returns of each op, in order, the most of |v|, the integer that is requantized: accumulator, normalized value, sum. 0
 * for ops without requantization. Attention: of the normalised weighted sum o
 * @throws InputError naming the first op for which the proof fails
 */
export function proveBounds(program: Program): bigint[] {
  const values = valuesOf(program);
  return program.ops.map((op) => accumulatorBound(op, values));
}

function accumulatorBound(op: Op, values: readonly ValueInfo[]): bigint {
  switch (op.op) {
    case 'patches':
    case 'constant':
    case 'gather':
    case 'add':
      return 0n;
    case 'linear':
      return linearBound(op, values[op.x]);
    case 'layerNorm':
      return layerNormBound(op);
    case 'activation':
      return requantized(op, activationBound(op));
    case 'paperNorm':
      return paperNormBound(op);
    case 'paperGelu':
      return requantized(op, paperGeluBound(op));
    case 'attention':
      return attentionBound(op);
    case 'rescale':
      return requantized(op, BigInt(WIDE_LIMIT));
    case 'meanRows':
      return requantized(op, BigInt(op.group) * BigInt(WIDE_LIMIT));
  }
}

/** What a linear layer accumulates: the range of its codes, and the width that holds the sum. */
function accumulation({ out }: ValueInfo): { lo: number; hi: number; bits: number } {
  const { lo, hi } = out.type === 'rows' ? { lo: -127, hi: 127 } : outputRange(out);
  return { lo, hi, bits: out.type === 'i16' ? WIDE_ACCUMULATOR_BITS : ACCUMULATOR_BITS };
}

/** Whether a linear layer of this size, with these biases and multipliers, cannot overflow whatever its weights are. */
function fitsAnyWeights(op: LinearOp, x: ValueInfo): boolean {
  const { lo, hi, bits } = accumulation(x);
  const weights = op.inFeatures * ((1 << (op.weightBits - 1)) - 1);
  const sum = Math.max(-lo, hi) * weights;
  const accumulator = (x.out.type === 'rows' ? scaleRow(sum, op.rowShift) : BigInt(sum)) + greatest(op.bias);
  return BigInt(255 * weights) < POWERS[ACCUMULATOR_BITS] && accumulator < POWERS[bits] && fitsProduct(op, accumulator);
}

/** Most of |acc[n]| for one output channel: both ends of Σ x·w, x anywhere in its type's range, then bias and row scale. */
function linearBound(op: LinearOp, x: ValueInfo): bigint {
  const { lo, hi, bits } = accumulation(x);
  const accumulators: bigint[] = [];
  for (let n = 0; n < op.cols; n++) {
    const start = n * op.inFeatures;
    const { positive, negative } = sumUp(op.weight, start, start + op.inFeatures);
    // Codes are accumulated without their zero point, planes of 16 bits apart: those sums must fit as well.
    within(op, 255 * (positive + negative), ACCUMULATOR_BITS, 'the sum of channel', n);
    const least = lo * positive - hi * negative;
    const most = hi * positive - lo * negative;
    const bias = op.bias[n];
    const accumulator =
      x.out.type === 'rows'
        ? largest(scaleRow(least, op.rowShift) + BigInt(bias), scaleRow(most, op.rowShift) + BigInt(bias))
        : BigInt(Math.max(Math.abs(least + bias), Math.abs(most + bias)));
    accumulators.push(within(op, accumulator, bits, 'the accumulator of channel', n));
  }
  return requantized(op, accumulators);
}

/** Weights whose sums fit 32 bits. */
const SUMMED = 1 << 20;

/** Σw over the positive weights of [start, end), and −Σw over the negative ones: below 2^28·2^7. */
function sumUp(weight: Int8Array, start: number, end: number): { positive: number; negative: number } {
  let positive = 0;
  let negative = 0;
  for (let i = start; i < end; i += SUMMED) {
    const part = sumPart(weight, i, Math.min(i + SUMMED, end));
    positive += part.positive;
    negative += part.positive - part.sum;
  }
  return { positive, negative };
}

/** Sees every weight of a model in `ivit inspect`: 32-bit sums, no branch, and small enough to be compiled soon. */
function sumPart(weight: Int8Array, start: number, end: number): { positive: number; sum: number } {
  let positive = 0;
  let sum = 0;
  for (let i = start; i < end; i++) {
    const w = weight[i];
    positive = (positive + (w & ~(w >> 31))) | 0;
    sum = (sum + w) | 0;
  }
  return { positive, sum };
}

/** (M'·sum + 2^(rowShift−1)) >> rowShift at the largest row scale, M' = 2^22. */
function scaleRow(sum: number, rowShift: number): bigint {
  const product = BigInt(sum) * BigInt(ROW_LIMIT + 1);
  return rowShift === 0 ? product : (product + (1n << BigInt(rowShift - 1))) >> BigInt(rowShift);
}

function layerNormBound(op: LayerNormOp): bigint {
  // Σ(x − mean)² ≤ Σx² + D/4, as the mean is rounded to the nearest integer.
  const squares = BigInt(op.cols) * (BigInt(WIDE_LIMIT) ** 2n + 1n) + op.epsilon;
  within(op, squares, PRODUCT_BITS, 'the sum of squares');
  return requantized(op, NORMALIZED);
}

/**
 * Most of |max(x, 0) − H(|x|)|. Between two knots H stays between their values, so each segment's ends decide. The
 * result, and the step from knot to knot, must fit 16 bits, in which SIMD units interpolate.
 */
function activationBound(op: ActivationOp): bigint {
  let most = outputRange({ type: 'i16' }).hi;
  op.knots.forEach((knot, i) => {
    const next = i + 1 < op.knots.length ? op.knots[i + 1] : 0;
    within(op, Math.abs(next - knot), 15, 'the step after knot', i);
    const end = Math.min(((i + 1) << op.spacing) - 1, 32767);
    if (i << op.spacing > 32767) return;
    const low = Math.min(knot, next);
    const high = Math.max(knot, next);
    most = Math.max(most, within(op, Math.max(Math.abs(end - low), Math.abs(high)), 15, 'the result after knot', i));
  });
  return BigInt(most);
}

/** k ≥ ⌊√Σy²⌋ ≥ |y| after any step of the iteration, so that |y·⌊(2^31 − 1)/k⌋/2| < 2^30. */
function paperNormBound(op: PaperNormOp): bigint {
  within(op, BigInt(op.cols) * (BigInt(WIDE_LIMIT) ** 2n + 1n), PRODUCT_BITS, 'the sum of squares');
  return requantized(op, NORMALIZED);
}

/** σ ≤ 127 as long as the sum of exponentials stays below 2^31; cut off there, σ ≤ ⌊−x0·2^23/2^24⌋. */
function paperGeluBound(op: PaperGeluOp): bigint {
  return 127n * largest(127n, BigInt(-op.x0 >> 1));
}

function attentionBound(op: AttentionOp): bigint {
  const score = within(op, BigInt(op.dim) * 127n * 127n, ACCUMULATOR_BITS, 'the score');
  const weights =
    typeof op.softmax === 'string'
      ? BigInt(op.keys) * BigInt(255 << (op.softmaxBits - 8))
      : paperWeights(op.keys, op.softmax);
  const sum = within(op, weights * 127n, ACCUMULATOR_BITS, 'the weighted sum of values');
  const attended = requantized(op, typeof op.softmax === 'string' ? ATTENDED : sum);
  checkProducts(op, { multiplier: op.scoreMultiplier, shift: op.scoreShift }, score, 'a score');
  return attended;
}

/**
 * Most of Σw. e ≤ −x0·2^15, and Σe·⌊(2^31 − 1)/Σe⌋ < 2^31, so that Σw < 2^(bits−1) as long as Σe is not cut off; where it
 * may be, the factor is 1 for e ≤ 2^30, and each w is below 2^(bits−1).
 */
function paperWeights(keys: number, { x0, bits }: PaperSoftmax): bigint {
  const one = (1n << BigInt(bits - 1)) - 1n;
  return BigInt(keys) * (BigInt(-x0) << 15n) < 1n << 31n ? one : BigInt(keys) * one;
}

interface Requantization {
  readonly multiplier: Int32Array;
  readonly offset?: BigInt64Array;
  readonly shift: number;
}

/** @param bound most of |v|, for all channels or for each. @returns the most of it */
function requantized(op: Op & Requantization, bound: bigint | readonly bigint[]): bigint {
  checkProducts(op, op, bound, 'channel');
  return typeof bound === 'bigint' ? bound : greatest(bound);
}

function checkProducts(op: Op, requantization: Requantization, bound: bigint | readonly bigint[], what: string): void {
  if (fitsProduct(requantization, typeof bound === 'bigint' ? bound : greatest(bound))) return;
  const { multiplier, offset, shift } = requantization;
  const half = 1n << BigInt(shift - 1);
  for (let n = 0; n < multiplier.length; n++) {
    const v = typeof bound === 'bigint' ? bound : bound[n];
    const product = v * BigInt(Math.abs(multiplier[n]));
    const added = half + (offset?.[n] ?? 0n);
    const distance = added < 0n ? -added : added;
    // Added in any order: the product and the sum both fit.
    within(op, product, PRODUCT_BITS, `the product of ${what}`, n);
    within(op, distance, PRODUCT_BITS, `the offset of ${what}`, n);
    within(op, product + distance, PRODUCT_BITS, `the requantization of ${what}`, n);
  }
}

/** Whether even the greatest |v|, |multiplier| and |offset| would fit together, which proves it for every channel. */
function fitsProduct({ multiplier, offset, shift }: Requantization, bound: bigint): boolean {
  const added = (1n << BigInt(shift - 1)) + (offset === undefined ? 0n : greatest(offset));
  return bound * greatest(multiplier) + added < POWERS[PRODUCT_BITS];
}

/** The greatest magnitude; 0 of nothing. */
function greatest(values: Int32Array | BigInt64Array | readonly bigint[]): bigint {
  let least: number | bigint = 0;
  let most: number | bigint = 0;
  // By index: iterators take several times as long while a program starts.
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value > most) most = value;
    if (value < least) least = value;
  }
  return largest(BigInt(least), BigInt(most));
}

function largest(a: bigint, b: bigint): bigint {
  const x = a < 0n ? -a : a;
  const y = b < 0n ? -b : b;
  return x > y ? x : y;
}

/** 2^bits. */
const POWERS = Array.from({ length: 64 }, (_, bits) => 1n << BigInt(bits));

/** @param n which one of `what`, if there are several */
function within<T extends number | bigint>(op: Op, value: T, bits: number, what: string, n?: number): T {
  if (value >= POWERS[bits]) {
    const which = n === undefined ? what : `${what} ${n}`;
    throw new InputError(
      `Op ${JSON.stringify(op.name)} (${op.op}): ${which} can reach ${value}, which overflows ${bits} bits and a sign`,
    );
  }
  return value;
}
