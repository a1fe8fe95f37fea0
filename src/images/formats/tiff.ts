/** What of a TIFF the image library refuses, though others read it. */

const ORIENTATION = 0x112;
const UPRIGHT = 1;
const MOST = 8;
const ENTRY_BYTES = 12;

/**
 * A copy of a TIFF whose first directory has an orientation that is none, 0 or 9, say, with 1, upright, in its place:
 * so do Pillow and libtiff's own tools read it.
 *
 * @returns null where there is no such tag
 */
export function withValidOrientation(bytes: Uint8Array): Uint8Array | null {
  const copy = new Uint8Array(bytes);
  const view = new DataView(copy.buffer);
  const isLittle = copy[0] === 0x49;
  if (copy.length < 8 || view.getUint16(2, isLittle) !== 42) return null;
  const directory = view.getUint32(4, isLittle);
  if (directory + 2 > copy.length) return null;
  const count = view.getUint16(directory, isLittle);
  for (let i = 0; i < count; i++) {
    const entry = directory + 2 + i * ENTRY_BYTES;
    if (entry + ENTRY_BYTES > copy.length) return null;
    if (view.getUint16(entry, isLittle) !== ORIENTATION) continue;
    const value = view.getUint16(entry + 8, isLittle);
    if (value >= UPRIGHT && value <= MOST) return null;
    view.setUint16(entry + 8, UPRIGHT, isLittle);
    return copy;
  }
  return null;
}
