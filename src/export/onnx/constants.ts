import type { ElementType } from '../../graph/onnx-model.js';

/** Element types that an exported graph may have: no floats. */
export type IntegerType = Exclude<ElementType, 'float'>;

export type ConstantArray = Uint8Array | Int8Array | Int32Array | Uint32Array | BigInt64Array | BigUint64Array;

/** Constants of a type, from numbers that it holds. */
export function arrayOf(type: IntegerType, values: readonly (number | bigint)[]): ConstantArray {
  switch (type) {
    case 'uint8':
    case 'bool':
      return Uint8Array.from(values, Number);
    case 'int8':
      return Int8Array.from(values, Number);
    case 'int32':
      return Int32Array.from(values, Number);
    case 'uint32':
      return Uint32Array.from(values, Number);
    case 'int64':
      return BigInt64Array.from(values, BigInt);
    case 'uint64':
      return BigUint64Array.from(values, BigInt);
  }
}

export function typeOf(data: ConstantArray): IntegerType {
  if (data instanceof Uint8Array) return 'uint8';
  if (data instanceof Int8Array) return 'int8';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof Uint32Array) return 'uint32';
  return data instanceof BigInt64Array ? 'int64' : 'uint64';
}

/** FNV-1a of an array's bytes: equal arrays have equal hashes. */
export function hashOf(data: ConstantArray): number {
  let hash = 0x811c9dc5;
  for (const byte of bytesOf(data)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash;
}

export function areEqual(a: ConstantArray, b: ConstantArray): boolean {
  const [x, y] = [bytesOf(a), bytesOf(b)];
  return x.length === y.length && x.every((byte, i) => byte === y[i]);
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ConstantArray): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
