/** Weights of fewer than 8 bits as the file stores them: two's complement, one after the other, low bits first. */
import { FACTOR_BITS } from './codebook.js';

/** Bits that a tensor's integers are packed in; null: it is not packed. */
export function packedBits(
  { op, weightBits = 8 }: { readonly op: string; readonly weightBits?: number },
  field: string,
): number | null {
  if (op !== 'linear') return null;
  if (field === 'factor') return FACTOR_BITS;
  return field === 'weight' && weightBits !== 8 ? weightBits : null;
}

/** Bytes that `count` packed weights take. */
export function packedLength(count: number, bits: number): number {
  return Number((BigInt(count) * BigInt(bits) + 7n) >> 3n);
}

/** Weight i takes bits i·bits to (i+1)·bits − 1 of the byte string, bit b of it being bit b mod 8 of byte ⌊b/8⌋. */
export function packWeights(weights: Int8Array, bits: number): Uint8Array {
  const packed = new Uint8Array(packedLength(weights.length, bits));
  const mask = (1 << bits) - 1;
  let buffer = 0;
  let held = 0;
  let at = 0;
  for (const weight of weights) {
    buffer |= (weight & mask) << held;
    held += bits;
    while (held >= 8) {
      packed[at++] = buffer & 255;
      buffer >>= 8;
      held -= 8;
    }
  }
  if (held > 0) packed[at] = buffer;
  return packed;
}

export function unpackWeights(packed: Uint8Array, count: number, bits: number): Int8Array {
  const weights = new Int8Array(count);
  const unused = 32 - bits;
  let buffer = 0;
  let held = 0;
  let at = 0;
  for (let i = 0; i < count; i++) {
    while (held < bits) {
      buffer |= packed[at++] << held;
      held += 8;
    }
    weights[i] = (buffer << unused) >> unused;
    buffer >>= bits;
    held -= bits;
  }
  return weights;
}
