/**
 * Windows and OS/2 bitmaps, which the image library does not decode: 1 to 32 bits, palettes, run lengths, any masks.
 * The pixels are Pillow's.
 */
import { InputError } from '../../errors.js';
import type { RgbImage } from '../image.js';
import { checkPixels } from './pixels.js';

const FILE_HEADER = 14;
/** BITMAPCOREHEADER, of OS/2: sizes of 16 bits, a palette of 3 bytes a colour. */
const CORE = 12;
const HEADERS = [CORE, 40, 52, 56, 64, 108, 124];
const RGB = 0;
const RLE8 = 1;
const RLE4 = 2;
const BIT_FIELDS = 3;
const ALPHA_BIT_FIELDS = 6;

interface Header {
  readonly view: DataView;
  readonly width: number;
  readonly height: number;
  readonly isTopDown: boolean;
  readonly bits: number;
  readonly compression: number;
  /** Where the palette or the masks begin. */
  readonly behind: number;
  /** Where the pixels begin. */
  readonly pixels: number;
  readonly colours: number;
  readonly headerSize: number;
}

export function isBmp(start: Uint8Array): boolean {
  if (start.length < FILE_HEADER + 4 || start[0] !== 0x42 || start[1] !== 0x4d) return false;
  return HEADERS.includes(new DataView(start.buffer, start.byteOffset).getUint32(FILE_HEADER, true));
}

/** @throws InputError, without the image's name, for what is damaged or of a kind that no program writes */
export function decodeBmp(bytes: Uint8Array, mostPixels?: number): RgbImage {
  const header = readHeader(bytes);
  const { width, height, bits, compression } = header;
  checkPixels(width, height, mostPixels);
  const data = new Uint8Array(3 * width * height);
  if (bits <= 8) {
    const isRunLength = compression === RLE8 || compression === RLE4;
    const indices = isRunLength ? readRuns(bytes, header) : readIndices(bytes, header);
    const palette = readPalette(bytes, header);
    indices.forEach((index, p) => data.set(palette.subarray(3 * index, 3 * index + 3), 3 * p));
  } else {
    readColours(header, data);
  }
  return { data, width, height };
}

function readHeader(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const headerSize = bytes.length < 18 ? 0 : view.getUint32(FILE_HEADER, true);
  if (!HEADERS.includes(headerSize) || bytes.length < FILE_HEADER + headerSize) throw truncated();
  const isCore = headerSize === CORE;
  const rows = isCore ? view.getUint16(20, true) : view.getInt32(22, true);
  const header = {
    view,
    width: isCore ? view.getUint16(18, true) : view.getInt32(18, true),
    height: Math.abs(rows),
    isTopDown: rows < 0,
    bits: view.getUint16(isCore ? 24 : 28, true),
    compression: isCore ? RGB : view.getUint32(30, true),
    behind: FILE_HEADER + headerSize,
    pixels: view.getUint32(10, true),
    colours: isCore ? 0 : view.getUint32(46, true),
    headerSize,
  };
  const { bits, compression } = header;
  const isKnown =
    (compression === RGB && [1, 4, 8, 16, 24, 32].includes(bits)) ||
    (compression === RLE8 && bits === 8) ||
    (compression === RLE4 && bits === 4) ||
    ((compression === BIT_FIELDS || compression === ALPHA_BIT_FIELDS) && (bits === 16 || bits === 32));
  if (!isKnown) throw new InputError(`BMP images of ${bits} bits with compression ${compression} are not supported`);
  return header;
}

/** [256, 3]; colours beyond those of the file are black. */
function readPalette(bytes: Uint8Array, { bits, behind, pixels, colours, headerSize }: Header): Uint8Array {
  const size = headerSize === CORE ? 3 : 4;
  const there = Math.floor((Math.min(pixels, bytes.length) - behind) / size);
  const count = Math.min(there, colours === 0 ? 1 << bits : colours, 256);
  const palette = new Uint8Array(3 * 256);
  for (let i = 0; i < count; i++) for (let c = 0; c < 3; c++) palette[3 * i + c] = bytes[behind + size * i + 2 - c]!;
  return palette;
}

function readIndices(bytes: Uint8Array, header: Header): Uint8Array {
  const { width, height, bits, pixels } = header;
  const stride = strideOf(header);
  const mask = (1 << bits) - 1;
  const indices = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const from = pixels + stride * rowOf(header, y);
    for (let x = 0; x < width; x++) {
      const bit = x * bits;
      indices[y * width + x] = (bytes[from + (bit >> 3)]! >> (8 - bits - (bit & 7))) & mask;
    }
  }
  return indices;
}

/** Bytes of a row of the file, checked to be there in all. */
function strideOf({ view, width, height, bits, pixels }: Header): number {
  const stride = 4 * Math.ceil((width * bits) / 32);
  if (pixels + stride * height > view.byteLength) throw truncated();
  return stride;
}

/** The place in the file of row `y` of the image: rows are stored from the bottom up, or from the top down. */
function rowOf({ height, isTopDown }: Header, y: number): number {
  return isTopDown ? y : height - 1 - y;
}

/** Runs of one colour, or of two in turn where a pixel has 4 bits; what they leave out has colour 0. */
function readRuns(bytes: Uint8Array, header: Header): Uint8Array {
  const { width, height, bits } = header;
  const perByte = 8 / bits;
  const indices = new Uint8Array(width * height);
  let x = 0;
  let row = 0;
  const put = (byte: number, i: number): void => {
    const index = bits === 8 ? byte : (byte >> (i % 2 === 0 ? 4 : 0)) & 15;
    if (x < width && row < height) indices[rowOf(header, row) * width + x] = index;
    x++;
  };
  for (let at = header.pixels; row < height;) {
    if (at + 2 > bytes.length) throw truncated();
    const [count, value] = [bytes[at]!, bytes[at + 1]!];
    at += 2;
    if (count > 0) {
      for (let i = 0; i < count; i++) put(value, i);
    } else if (value === 0) {
      x = 0;
      row++;
    } else if (value === 1) {
      break;
    } else if (value === 2) {
      if (at + 2 > bytes.length) throw truncated();
      x += bytes[at]!;
      row += bytes[at + 1]!;
      at += 2;
    } else {
      const length = Math.ceil(value / perByte);
      if (at + length > bytes.length) throw truncated();
      for (let i = 0; i < value; i++) put(bytes[at + Math.floor(i / perByte)]!, i);
      at += length + (length % 2);
    }
  }
  return indices;
}

/** Pixels of 16, 24 or 32 bits: red, green and blue by masks; alpha is left out. */
function readColours(header: Header, data: Uint8Array): void {
  const { view, width, height, bits, pixels } = header;
  const channels = masksOf(header).map((mask) => {
    const shift = 31 - Math.clz32(mask & -mask);
    return { mask, shift, most: mask >>> shift };
  });
  const stride = strideOf(header);
  const bytes = bits / 8;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = pixels + stride * rowOf(header, y) + bytes * x;
      const pixel =
        bytes === 4
          ? view.getUint32(at, true)
          : view.getUint16(at, true) | (bytes === 3 ? view.getUint8(at + 2) << 16 : 0);
      for (const [c, { mask, shift, most }] of channels.entries())
        data[3 * (y * width + x) + c] = most === 0 ? 0 : Math.floor((((pixel & mask) >>> shift) * 255) / most);
    }
  }
}

/** Red, green, blue. */
function masksOf({ view, bits, compression, behind, pixels, headerSize }: Header): readonly number[] {
  if (compression === RGB) return bits === 16 ? [0x7c00, 0x03e0, 0x001f] : [0xff0000, 0xff00, 0xff];
  // Within a newer header, or right behind the old one: at the same place.
  const from = headerSize > 40 ? FILE_HEADER + 40 : behind;
  if (from + 12 > Math.min(pixels, view.byteLength)) throw truncated();
  return [0, 4, 8].map((offset) => view.getUint32(from + offset, true));
}

function truncated(): InputError {
  return new InputError('the BMP image is truncated');
}
