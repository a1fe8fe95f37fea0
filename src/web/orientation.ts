/** Where a photograph says how it is to be held, and pixels turned accordingly. */

const ORIENTATION = 0x112;
/** What leads EXIF data in JPEG, and in some WebP files. */
const EXIF_PREFIX = 'Exif\0\0';

const textAt = (bytes: Uint8Array, at: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(at, at + length));

/** The EXIF orientation of a JPEG, PNG or WebP file: 1 to 8; 1, upright, where it has none or one that is none. */
export function orientationOf(bytes: Uint8Array): number {
  const exif = exifOf(bytes);
  if (exif === null) return 1;
  const tiff = textAt(exif, 0, EXIF_PREFIX.length) === EXIF_PREFIX ? exif.subarray(EXIF_PREFIX.length) : exif;
  const value = orientationOfTiff(tiff);
  return value >= 1 && value <= 8 ? value : 1;
}

function exifOf(bytes: Uint8Array): Uint8Array | null {
  if (bytes[0] === 0xff) return exifOfJpeg(bytes);
  const isPng = bytes[0] === 0x89;
  return exifOfChunks(bytes, isPng ? PNG : WEBP);
}

/** Segments: 0xff, a marker, the length of what follows, big-endian; the picture begins at the marker SOS. */
function exifOfJpeg(bytes: Uint8Array): Uint8Array | null {
  const [APP1, SOS] = [0xe1, 0xda];
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff;) {
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at++; // a fill byte
      continue;
    }
    if (marker === SOS) return null;
    const end = at + 2 + ((bytes[at + 2] << 8) | bytes[at + 3]);
    if (marker === APP1 && textAt(bytes, at + 4, EXIF_PREFIX.length) === EXIF_PREFIX)
      return bytes.subarray(at + 4, end);
    at = end;
  }
  return null;
}

/** How a file is made of chunks: 4 bytes of length and 4 of name, or the other way about, then the chunk itself. */
interface Chunks {
  readonly name: string;
  readonly start: number;
  readonly lengthAt: number;
  readonly nameAt: number;
  readonly isLittleEndian: boolean;
  /** Bytes of the file that a chunk of so many bytes takes, its head included. */
  readonly total: (length: number) => number;
}
const PNG: Chunks = {
  name: 'eXIf',
  start: 8,
  lengthAt: 0,
  nameAt: 4,
  isLittleEndian: false,
  total: (length) => 8 + length + 4, // a checksum follows
};
const WEBP: Chunks = {
  name: 'EXIF',
  start: 12,
  lengthAt: 4,
  nameAt: 0,
  isLittleEndian: true,
  total: (length) => 8 + length + (length % 2), // to an even length
};

function exifOfChunks(bytes: Uint8Array, chunks: Chunks): Uint8Array | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = chunks.start; at + 8 <= bytes.length;) {
    const length = view.getUint32(at + chunks.lengthAt, chunks.isLittleEndian);
    if (textAt(bytes, at + chunks.nameAt, 4) === chunks.name) return bytes.subarray(at + 8, at + 8 + length);
    at += chunks.total(length);
  }
  return null;
}

/** The tag in the first directory of TIFF data, which EXIF is; 0 where it is not there. */
function orientationOfTiff(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isLittle = bytes[0] === 0x49;
  if (bytes.length < 8 || view.getUint16(2, isLittle) !== 42) return 0;
  const directory = view.getUint32(4, isLittle);
  if (directory + 2 > bytes.length) return 0;
  const count = view.getUint16(directory, isLittle);
  for (let entry = directory + 2, i = 0; i < count && entry + 12 <= bytes.length; i++, entry += 12)
    if (view.getUint16(entry, isLittle) === ORIENTATION) return view.getUint16(entry + 8, isLittle);
  return 0;
}

/** Pixels of four bytes. */
export interface RgbaImage {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

export type Decoder = (bytes: Uint8Array) => Promise<RgbaImage>;

/** The image as an EXIF orientation says that it is to be seen. */
export function turned({ data, width, height }: RgbaImage, orientation: number): RgbaImage {
  if (orientation === 1) return { data, width, height };
  const last = width * height - 1;
  // Where the first pixel comes from, and how far the next one to the right, and below, is from it.
  const [start, right, down] = [
    [0, 1, width],
    [width - 1, -1, width],
    [last, -1, -width],
    [last - (width - 1), 1, -width],
    [0, width, 1],
    [last - (width - 1), -width, 1],
    [last, -width, -1],
    [width - 1, width, -1],
  ][orientation - 1];
  const size = orientation > 4 ? { width: height, height: width } : { width, height };
  const from = new Uint32Array(data.buffer, data.byteOffset, width * height);
  const to = new Uint32Array(width * height);
  for (let y = 0, at = 0; y < size.height; y++)
    for (let x = 0; x < size.width; x++) to[at++] = from[start + x * right + y * down];
  return { data: new Uint8Array(to.buffer), ...size };
}
