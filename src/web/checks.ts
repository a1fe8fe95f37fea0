/** Checks of what callers give. Types go by their names: what another frame gives has constructors of its own. */
import { UsageError } from '../errors.js';

/** `Uint8Array`, `Null`, `Object`. */
export const typeOf = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1);

export const isBytes = (value: unknown): value is Uint8Array | Uint8ClampedArray =>
  ['Uint8Array', 'Uint8ClampedArray'].includes(typeOf(value));

/** @throws UsageError where a number is none from 1 to `most` */
export function checkCount(name: string, value: unknown, most = Number.MAX_SAFE_INTEGER): void {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most) return;
  const limit = most === Number.MAX_SAFE_INTEGER ? 'on' : `to ${most}`;
  throw new UsageError(`${name} is ${String(value)}, not a whole number from 1 ${limit}`);
}

/**
 * @param length how many there must be; left out: any number
 * @throws UsageError where values are not the integers that `run` gives
 */
export function checkValues(values: unknown, length?: number): asserts values is Int32Array {
  if (typeOf(values) !== 'Int32Array')
    throw new UsageError(`The values are the Int32Array that run gives, not of type ${typeOf(values)}`);
  const { length: found } = values as Int32Array;
  if (length !== undefined && found !== length)
    throw new UsageError(`The values are ${found} numbers, and run gives ${length}`);
}
