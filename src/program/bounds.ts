/**
 * The overflow proof: for any image whatever, no intermediate result of a program leaves the width that the engines hold
 * it in. It needs the file's own numbers alone (weights, biases, multipliers, the clamps of each type) and is carried out
 * in integers: of unlimited size where 2^53 does not hold them.
 */
import { InputError } from '../errors.js';
import { ROW_LIMIT, WIDE_LIMIT, outputRange } from './limits.js';
import type { ActivationOp, AttentionOp, LayerNormOp, LinearOp, Op, PaperGeluOp, PaperNormOp, PaperSoftmax, Program } from './types.js';
import { valuesOf } from './validate.js';
import type { ValueInfo } from './validate.js';

/** What an op's numbers can reach, for any input. */
export interface OpBounds {
  /**
   * Most of |v|, the integer that is requantized: accumulator, normalized value, sum. 0 for ops without requantization.
   * Attention: of the normalised weighted sum o.
   */
  readonly accumulator: bigint;
  /** Most of |v·multiplier + 2^(shift−1) + offset| over all channels: below 2^31, a 32-bit path gives the same result. */
  readonly product: bigint;
  /** Attention only: the same of the scores' requantization; 0 elsewhere. */
  readonly scoreProduct: bigint;
}

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
 * @returns the bounds of each op, in order
 * @throws InputError naming the first op for which the proof fails
 */
export function proveBounds(program: Program): OpBounds[] {
  const values = valuesOf(program);
  return program.ops.map((op) => boundsOf(op, values));
}

function boundsOf(op: Op, values: readonly ValueInfo[]): OpBounds {
  switch (op.op) {
    case 'patches':
    case 'constant':
    case 'gather':
    case 'add':
      return { accumulator: 0n, product: 0n, scoreProduct: 0n };
    case 'linear':
      return linearBounds(op, values[op.x]);
    case 'layerNorm':
      return layerNormBounds(op);
    case 'activation':
      return requantized(op, activationBound(op));
    case 'paperNorm':
      return paperNormBounds(op);
    case 'paperGelu':
      return requantized(op, paperGeluBound(op));
    case 'attention':
      return attentionBounds(op);
    case 'rescale':
      return requantized(op, BigInt(WIDE_LIMIT));
    case 'meanRows':
      return requantized(op, BigInt(op.group) * BigInt(WIDE_LIMIT));
  }
}

/** Most of |acc[n]| for one output channel: both ends of Σ x·w, x anywhere in its type's range, then bias and row scale. */
function linearBounds(op: LinearOp, x: ValueInfo): OpBounds {
  const isDynamic = x.out.type === 'rows';
  const { lo, hi } = isDynamic ? { lo: -127, hi: 127 } : outputRange(x.out);
  const bits = x.out.type === 'i16' ? WIDE_ACCUMULATOR_BITS : ACCUMULATOR_BITS;
  const accumulators: (number | bigint)[] = [];
  for (let n = 0; n < op.cols; n++) {
    const start = n * op.inFeatures;
    const { positive, negative } = sumUp(op.weight, start, start + op.inFeatures);
    // Codes are accumulated without their zero point, planes of 16 bits apart: those sums must fit as well.
    within(op, 255 * (positive + negative), ACCUMULATOR_BITS, 'the sum of channel', n);
    const least = lo * positive - hi * negative;
    const most = hi * positive - lo * negative;
    const bias = op.bias[n];
    const accumulator = isDynamic
      ? largest(scaleRow(least, op.rowShift) + BigInt(bias), scaleRow(most, op.rowShift) + BigInt(bias))
      : Math.max(Math.abs(least + bias), Math.abs(most + bias));
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

/** Sees every weight of a model while a user waits for it: 32-bit sums, no branch, and small enough to be compiled soon. */
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

function layerNormBounds(op: LayerNormOp): OpBounds {
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
  let most = BigInt(outputRange({ type: 'i16' }).hi);
  op.knots.forEach((knot, i) => {
    const next = i + 1 < op.knots.length ? op.knots[i + 1] : 0;
    within(op, BigInt(Math.abs(next - knot)), 15, 'the step after knot', i);
    const end = Math.min(((i + 1) << op.spacing) - 1, 32767);
    if (i << op.spacing > 32767) return;
    const low = Math.min(knot, next);
    const high = Math.max(knot, next);
    most = largest(most, within(op, largest(BigInt(end - low), BigInt(-high)), 15, 'the result after knot', i));
  });
  return most;
}

/** k ≥ ⌊√Σy²⌋ ≥ |y| after any step of the iteration, so that |y·⌊(2^31 − 1)/k⌋/2| < 2^30. */
function paperNormBounds(op: PaperNormOp): OpBounds {
  within(op, BigInt(op.cols) * (BigInt(WIDE_LIMIT) ** 2n + 1n), PRODUCT_BITS, 'the sum of squares');
  return requantized(op, NORMALIZED);
}

/** σ ≤ 127 as long as the sum of exponentials stays below 2^31; cut off there, σ ≤ ⌊−x0·2^23/2^24⌋. */
function paperGeluBound(op: PaperGeluOp): bigint {
  return 127n * largest(127n, BigInt(-op.x0 >> 1));
}

function attentionBounds(op: AttentionOp): OpBounds {
  const score = within(op, BigInt(op.dim) * 127n * 127n, ACCUMULATOR_BITS, 'the score');
  const weights = typeof op.softmax === 'string' ? BigInt(op.keys) * 255n : paperWeights(op.keys, op.softmax);
  const sum = within(op, weights * 127n, ACCUMULATOR_BITS, 'the weighted sum of values');
  const scores = { multiplier: op.scoreMultiplier, shift: op.scoreShift };
  const attended = typeof op.softmax === 'string' ? ATTENDED : sum;
  return { ...requantized(op, attended), scoreProduct: productBound(op, scores, score, 'a score') };
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

/** Most of |v|, for all channels or for each. */
type Bound = bigint | readonly (number | bigint)[];

function requantized(op: Op & Requantization, bound: Bound): OpBounds {
  const accumulator = typeof bound === 'bigint' ? bound : BigInt(bound.reduce((a, b) => (a > b ? a : b), 0));
  return { accumulator, product: productBound(op, op, bound, 'channel'), scoreProduct: 0n };
}

function productBound(op: Op, { multiplier, offset, shift }: Requantization, bound: Bound, what: string): bigint {
  const half = 1n << BigInt(shift - 1);
  const [productName, offsetName, sumName] = ['product', 'offset', 'requantization'].map((part) => `the ${part} of ${what}`);
  let most = 0n;
  let rounded = -1;
  for (let n = 0; n < multiplier.length; n++) {
    const v = typeof bound === 'bigint' ? bound : bound[n];
    const b = Math.abs(multiplier[n]);
    if (offset === undefined) {
      // Rounding to 53 bits keeps the order: a product that is smaller when rounded is smaller, and needs no look.
      const about = Number(v) * b;
      if (about < rounded) continue;
      rounded = about;
    }
    const product = BigInt(v) * BigInt(b);
    const added = half + (offset?.[n] ?? 0n);
    const distance = added < 0n ? -added : added;
    // Added in any order: the product and the sum both fit.
    within(op, product, PRODUCT_BITS, productName, n);
    within(op, distance, PRODUCT_BITS, offsetName, n);
    const sum = within(op, product + distance, PRODUCT_BITS, sumName, n);
    if (sum > most) most = sum;
  }
  return most;
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
    throw new InputError(`Op ${JSON.stringify(op.name)} (${op.op}): ${which} can reach ${value}, which overflows ${bits} bits and a sign`);
  }
  return value;
}
