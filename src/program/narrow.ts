/** Tensors of 32 and 64 bits, stored in as few bits as their integers need. */
import type { Dtype, TensorData } from './container.js';

type Narrowable = Int8Array | Int16Array | Int32Array | BigInt64Array;

/** Signed types, the narrowest first, with the largest magnitude that a tensor of it may hold. */
const TYPES = [
  ['I8', 2 ** 7 - 1],
  ['I16', 2 ** 15 - 1],
  ['I32', 2 ** 31 - 1],
] as const;

/** The types that a tensor may be stored in. @param dtype that of its field */
export function storedTypes(dtype: Dtype): readonly Dtype[] {
  switch (dtype) {
    case 'I64':
      return ['I8', 'I16', 'I32', 'I64'];
    case 'I32':
      return ['I8', 'I16', 'I32'];
    default:
      return [dtype];
  }
}

/** A tensor in the narrowest type that it may be stored in. */
export function narrowed(dtype: Dtype, data: TensorData): { readonly dtype: Dtype; readonly data: TensorData } {
  if (dtype !== 'I64' && dtype !== 'I32') return { dtype, data };
  const largest = largestMagnitude(data);
  const [narrow] = TYPES.find(([, most]) => largest <= most) ?? [dtype];
  if (narrow === dtype) return { dtype, data };
  const values = Array.from(data as ArrayLike<number | bigint>, Number);
  if (narrow === 'I8') return { dtype: narrow, data: Int8Array.from(values) };
  return { dtype: narrow, data: narrow === 'I16' ? Int16Array.from(values) : Int32Array.from(values) };
}

/** A tensor as its field has it: of 32 or 64 bits again. */
export function widened(dtype: Dtype, data: TensorData): TensorData {
  if (dtype === 'I64' && !(data instanceof BigInt64Array)) return BigInt64Array.from(data as Int32Array, BigInt);
  if (dtype === 'I32' && !(data instanceof Int32Array)) return Int32Array.from(data as Int16Array);
  return data;
}

/** Above 2^53 only near. */
function largestMagnitude(data: TensorData): number {
  let largest = 0;
  for (const value of data as Narrowable) largest = Math.max(largest, Math.abs(Number(value)));
  return largest;
}
