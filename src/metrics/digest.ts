/** What everything that runs a model can be compared by: its integers as bytes, the same on every machine. */

/**
 * The integers of all outputs as the digest of docs/format.md sees them: little-endian i32.
 *
 * @param values what a program gives for one image, its outputs end to end
 */
export function digestBytes(values: Int32Array): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setInt32(4 * i, value, true));
  return bytes;
}
