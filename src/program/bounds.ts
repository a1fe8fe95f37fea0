/**
 * The overflow proof: for any image whatever, no intermediate result of a program leaves the width that the engines hold
 * it in. It needs the file's own numbers alone (weights, biases, multipliers, the clamps of each type) and is carried out
 * in integers of unlimited size.
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
  const accumulators: bigint[] = [];
  for (let n = 0; n < op.cols; n++) {
    const start = n * op.inFeatures;
    const sum = sumUp(op.weight, start, start + op.inFeatures, plain);
    const magnitude = sumUp(op.weight, start, start + op.inFeatures, magnitudes);
    const positive = BigInt(magnitude + sum) >> 1n;
    const negative = BigInt(magnitude - sum) >> 1n;
    let least = BigInt(lo) * positive - BigInt(hi) * negative;
    let most = BigInt(hi) * positive - BigInt(lo) * negative;
    // Codes are accumulated without their zero point, planes of 16 bits apart: those sums must fit as well.
    within(op, 255n * BigInt(magnitude), ACCUMULATOR_BITS, `the sum of channel ${n}`);
    if (isDynamic) {
      [least, most] = [least, most].map((sum) => scaleRow(sum, op.rowShift));
    }
    const bias = BigInt(op.bias[n]);
    accumulators.push(within(op, largest(least + bias, most + bias), bits, `the accumulator of channel ${n}`));
  }
  return requantized(op, accumulators);
}

/** Elements whose sum fits 32 bits. */
const SUMMED = 1 << 20;

/** Σw or Σ|w| of elements [start, end): below 2^28·2^7, exact in a number. */
function sumUp(weight: Int8Array, start: number, end: number, sumPart: typeof plain): number {
  let sum = 0;
  for (let i = start; i < end; i += SUMMED) sum += sumPart(weight, i, Math.min(i + SUMMED, end));
  return sum;
}

// These see every weight of a model while a user waits for it: 32-bit sums, and functions small enough to be compiled soon.
function plain(weight: Int8Array, start: number, end: number): number {
  let sum = 0;
  for (let i = start; i < end; i++) sum = (sum + weight[i]) | 0;
  return sum;
}

function magnitudes(weight: Int8Array, start: number, end: number): number {
  let sum = 0;
  for (let i = start; i < end; i++) sum = (sum + Math.abs(weight[i])) | 0;
  return sum;
}

/** (M'·sum + 2^(rowShift−1)) >> rowShift at the largest row scale, M' = 2^22. */
function scaleRow(sum: bigint, rowShift: number): bigint {
  const product = sum * BigInt(ROW_LIMIT + 1);
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
    within(op, BigInt(Math.abs(next - knot)), 15, `the step after knot ${i}`);
    const end = Math.min(((i + 1) << op.spacing) - 1, 32767);
    if (i << op.spacing > 32767) return;
    const low = Math.min(knot, next);
    const high = Math.max(knot, next);
    most = largest(most, within(op, largest(BigInt(end - low), BigInt(-high)), 15, `the result after knot ${i}`));
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

/** @param bound most of |v|, for all channels or for each */
function requantized(op: Op & Requantization, bound: bigint | readonly bigint[]): OpBounds {
  const accumulator = typeof bound === 'bigint' ? bound : bound.reduce((a, b) => (a > b ? a : b), 0n);
  return { accumulator, product: productBound(op, op, bound, 'channel'), scoreProduct: 0n };
}

function productBound(op: Op, { multiplier, offset, shift }: Requantization, bound: bigint | readonly bigint[], what: string): bigint {
  const half = 1n << BigInt(shift - 1);
  let most = 0n;
  multiplier.forEach((b, n) => {
    const product = (typeof bound === 'bigint' ? bound : bound[n]) * BigInt(Math.abs(b));
    const added = half + (offset?.[n] ?? 0n);
    // Added in any order: the product and the sum both fit.
    within(op, product, PRODUCT_BITS, `the product of ${what} ${n}`);
    within(op, largest(added, 0n), PRODUCT_BITS, `the offset of ${what} ${n}`);
    most = largest(most, within(op, largest(product + added, added - product), PRODUCT_BITS, `the requantization of ${what} ${n}`));
  });
  return most;
}

function largest(a: bigint, b: bigint): bigint {
  const x = a < 0n ? -a : a;
  const y = b < 0n ? -b : b;
  return x > y ? x : y;
}

function within(op: Op, value: bigint, bits: number, what: string): bigint {
  if (value >= 1n << BigInt(bits)) {
    throw new InputError(`Op ${JSON.stringify(op.name)} (${op.op}): ${what} can reach ${value}, which overflows ${bits} bits and a sign`);
  }
  return value;
}
