/** Integer arithmetic that ONNX has no operator for: shifts of signed numbers, bit lengths, requantization, roots. */
import { POWERS } from '../../program/proof.js';
import type { IntegerGraph, Tensor } from './graph.js';

const INT64_MIN = -(1n << 63n);

/** v >> c for v ≥ 0, of type int32 or int64. */
export function shiftPositive(g: IntegerGraph, v: Tensor, c: number): Tensor {
  if (c === 0) return v;
  const type = v.type === 'int32' ? 'uint32' : 'uint64';
  return g.cast(shiftUnsigned(g, g.cast(v, type), g.scalar(type, c)), v.type);
}

/** v >> c of a value without a sign; c may be a tensor that is broadcast, and must be below the type's width. */
export function shiftUnsigned(g: IntegerGraph, v: Tensor, c: Tensor): Tensor {
  return g.op('BitShift', [v, c], v.type, { direction: 'RIGHT' });
}

/**
 * v >> c of an int64, an arithmetic shift, 1 ≤ c ≤ 62. BitShift takes numbers without a sign alone. Turning the sign
 * bit over adds 2^63, which becomes 2^(63−c):
 *
 *     v >> c = ((v xor 2^63) >> c) − 2^(63−c)
 */
export function shiftSigned(g: IntegerGraph, v: Tensor, c: number): Tensor {
  return shiftSignedBy(g, v, g.scalar('uint64', c), g.scalar('int64', POWERS[63 - c]));
}

/** The same by c of each row. @param c uint64 @param bias 2^(63−c), int64 */
export function shiftSignedBy(g: IntegerGraph, v: Tensor, c: Tensor, bias: Tensor): Tensor {
  const raised = g.cast(g.with('BitwiseXor', v, INT64_MIN), 'uint64');
  return g.binary('Sub', g.cast(shiftUnsigned(g, raised, c), 'int64'), bias);
}

/**
 * clamp(v >> c, lo, hi), int32. The limits are laid on while the numbers have no sign.
 *
 * @param v int64
 */
export function shiftWithin(g: IntegerGraph, v: Tensor, c: number, { lo, hi }: Range): Tensor {
  const raised = g.cast(g.with('BitwiseXor', v, INT64_MIN), 'uint64');
  const bias = POWERS[63 - c];
  const [least, most] = [bias + BigInt(lo), bias + BigInt(hi)];
  const clamped = g.clip(shiftUnsigned(g, raised, g.scalar('uint64', c)), least < 0n ? 0n : least, most);
  return g.cast(g.with('Sub', g.cast(clamped, 'int64'), bias), 'int32');
}

interface Range {
  readonly lo: number;
  readonly hi: number;
}

/** min(v, most) of an int64 v ≥ 0. */
export function atMost(g: IntegerGraph, v: Tensor, most: number): Tensor {
  return g.cast(g.with('Min', g.cast(v, 'uint64'), most), 'int64');
}

/** clamp((v·b + 2^(c−1) + offset) >> c, lo, hi), with b and offset of each element of the last axis. @returns int32 */
export function requantize(
  g: IntegerGraph,
  v: Tensor,
  { multiplier, offset, shift }: Requantization,
  range: Range,
): Tensor {
  const half = POWERS[shift - 1];
  const added = BigInt64Array.from(multiplier, (_, n) => half + (offset?.[n] ?? 0n));
  const product = g.binary('Mul', g.cast(v, 'int64'), vector(g, BigInt64Array.from(multiplier, BigInt)));
  return shiftWithin(g, g.binary('Add', product, vector(g, added)), shift, range);
}

interface Requantization {
  readonly multiplier: Int32Array;
  readonly offset?: BigInt64Array;
  readonly shift: number;
}

/** One number for all where all are equal. */
function vector(g: IntegerGraph, values: BigInt64Array): Tensor {
  return values.every((value) => value === values[0])
    ? g.scalar('int64', values[0])
    : g.constant(values, [values.length]);
}

/** Bits of a number 1 ≤ v < 2^most, of type int32 or int64 and shape [any, 1]: how many powers of two it reaches. */
export function bitLength(g: IntegerGraph, v: Tensor, most: number): Tensor {
  const powers = POWERS.slice(0, most);
  const constants = v.type === 'int32' ? Int32Array.from(powers, Number) : BigInt64Array.from(powers);
  const reached = g.op('GreaterOrEqual', [v, g.constant(constants, [1, most])], 'bool');
  return g.reduce('ReduceSum', g.cast(reached, 'int32'), 1);
}

/** Steps of Newton's method from a start within a factor of two of the root until it is exact below 2^32. */
const ROOT_STEPS = 6;

/**
 * ⌊√v⌋ of 1 ≤ v < 2^63, int64 of shape [any, 1], as `integerSqrt` has it: from 2^⌈bits(v)/2⌉ > √v on,
 * k ← ⌊(k + ⌊v/k⌋)/2⌋. The start is at most twice the root. Each step squares the relative error e and halves it: 1,
 * 1/4, 1/40, 2^−11, 2^−24, 2^−49. So k ends at the root, or, as the steps from there alternate, at one more.
 */
export function squareRoot(g: IntegerGraph, v: Tensor): Tensor {
  const starts = BigInt64Array.from({ length: 64 }, (_, bits) => POWERS[(bits + 1) >> 1]);
  let k = g.gather(g.constant(starts, [64]), bitLength(g, v, 63));
  for (let step = 0; step < ROOT_STEPS; step++) {
    k = shiftPositive(g, g.binary('Add', k, g.binary('Div', v, k)), 1);
  }
  const isAbove = g.op('Greater', [k, g.binary('Div', v, k)], 'bool');
  return g.binary('Sub', k, g.cast(isAbove, 'int64'));
}

/** ⌊v / d⌋ of an int64 v ≥ −low, for whole low ≥ 0 and d > 0: Div rounds towards 0. */
export function floorDivide(g: IntegerGraph, v: Tensor, d: number, low: bigint): Tensor {
  const times = (low + BigInt(d) - 1n) / BigInt(d);
  return g.with('Sub', g.with('Div', g.with('Add', v, times * BigInt(d)), d), times);
}
