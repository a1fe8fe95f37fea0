import { createHash } from 'node:crypto';

/** SHA-256 of texts, numbers and arrays, in this order, as 64 hexadecimal digits. */
export function digestOf(parts: readonly (string | number | Uint8Array | Int32Array | Float64Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    const bytes = typeof part === 'object' ? part : Buffer.from(String(part));
    // No two lists of parts are one row of bytes.
    hash.update(`${typeof part} ${bytes.byteLength} `).update(bytes);
  }
  return hash.digest('hex');
}
