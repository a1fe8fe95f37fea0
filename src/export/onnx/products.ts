/**
 * Matrix products of bytes. Both operands are `uint8` with a zero point: on x86 without VNNI, ONNX Runtime's kernel for
 * `uint8` by `int8` adds pairs of products in 16 bits, which saturates.
 */
import { shiftPositive } from './arithmetic.js';
import type { IntegerGraph, Tensor } from './graph.js';

/** uint8, and what it has for 0. */
export interface Bytes {
  readonly data: Tensor;
  readonly zero: number;
}

/** Of `int8`, and of weights. */
const SIGNED_ZERO = 128;

/** A constant matrix of signed bytes. */
export function signedConstant(g: IntegerGraph, data: Int8Array, dims: readonly number[]): Bytes {
  const raised = Uint8Array.from(data, (value) => value + SIGNED_ZERO);
  return { data: g.constant(raised, dims), zero: SIGNED_ZERO };
}

/** A value of type `int8`: turning the sign bit over adds 128. */
export function signedBytes(g: IntegerGraph, x: Tensor): Bytes {
  return { data: g.cast(g.with('BitwiseXor', x, -128), 'uint8'), zero: SIGNED_ZERO };
}

/** Σ (a − zero)·(b − zero), exact in 32 bits. @returns int32 */
export function multiplyBytes(g: IntegerGraph, a: Bytes, b: Bytes): Tensor {
  const zeros = [g.scalar('uint8', a.zero), g.scalar('uint8', b.zero)];
  return g.op('MatMulInteger', [a.data, b.data, ...zeros], 'int32');
}

/** Σ x·b of 16-bit numbers |x| ≤ 32767, int32, as two planes: x = 256·(h − 128) + l. @returns int64 */
export function multiplyWords(g: IntegerGraph, x: Tensor, b: Bytes): Tensor {
  const raised = g.with('Add', x, 1 << 15);
  const high = { data: g.cast(shiftPositive(g, raised, 8), 'uint8'), zero: 128 };
  const low = { data: g.cast(g.with('BitwiseAnd', raised, 255), 'uint8'), zero: 0 };
  const upper = g.with('Mul', g.cast(multiplyBytes(g, high, b), 'int64'), 256);
  return g.binary('Add', upper, g.cast(multiplyBytes(g, low, b), 'int64'));
}

/** Σ w·b of weights 0 ≤ w < 2^16, int32; those of more than 8 bits in two planes. Exact in 32 bits. @returns int32 */
export function multiplyWeights(g: IntegerGraph, w: Tensor, b: Bytes, isWide: boolean): Tensor {
  if (!isWide) return multiplyBytes(g, { data: g.cast(w, 'uint8'), zero: 0 }, b);
  const high = { data: g.cast(shiftPositive(g, w, 8), 'uint8'), zero: 0 };
  const low = { data: g.cast(g.with('BitwiseAnd', w, 255), 'uint8'), zero: 0 };
  return g.binary('Add', g.with('Mul', multiplyBytes(g, high, b), 256), multiplyBytes(g, low, b));
}
