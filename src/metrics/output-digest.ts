import { createHash } from 'node:crypto';
import { UsageError } from '../errors.js';
import { digestBytes } from './digest.js';

/**
 * The digest of what a model gives for one image (docs/format.md): two programs that give the same digest have computed
 * the same integers.
 *
 * @param values what `Model.run` gives: all outputs, end to end
 * @returns SHA-256 of the values as little-endian i32, as 64 hexadecimal digits
 */
export function digestOf(values: Int32Array): string {
  if (!(values instanceof Int32Array)) throw new UsageError('digestOf: values must be the Int32Array of Model.run');
  return createHash('sha256').update(digestBytes(values)).digest('hex');
}
