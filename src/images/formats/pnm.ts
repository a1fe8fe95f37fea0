/**
 * Netpbm images, which the image library does not decode: PBM, PGM and PPM, as text or binary, and PAM. The pixels are
 * Pillow's, but for grey of 16 bits: it keeps its high byte, where Pillow saturates at 255.
 */
import { InputError } from '../../errors.js';
import type { RgbImage } from '../image.js';
import { checkPixels } from './pixels.js';

interface Header {
  readonly width: number;
  readonly height: number;
  /** Numbers a pixel: 1 or 2 (with alpha) for grey, 3 or 4 for colours. */
  readonly depth: number;
  readonly most: number;
  /** A bit a pixel, of which 1 is black. */
  readonly isBits: boolean;
  readonly isText: boolean;
  /** Where the pixels begin. */
  readonly pixels: number;
}

export function isPnm(start: Uint8Array): boolean {
  return start[0] === 0x50 && start[1]! >= 0x31 && start[1]! <= 0x37 && (isSpace(start[2]) || start[2] === HASH);
}

const HASH = 0x23;
const NEW_LINE = 0x0a;

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
}

/** @throws InputError, without the image's name, for what is damaged */
export function decodePnm(bytes: Uint8Array, mostPixels?: number): RgbImage {
  const header = bytes[1] === 0x37 ? readPamHeader(bytes) : readPnmHeader(bytes);
  const { width, height, depth, most, isBits } = header;
  checkPixels(width, height, mostPixels);
  if (!(depth >= 1 && depth <= 4)) throw new InputError(`PAM images of ${depth} channels are not supported`);
  if (!(most >= 1 && most <= 65535)) throw damaged();
  const samples = header.isText ? readText(bytes, header) : isBits ? readBits(bytes, header) : readBytes(bytes, header);
  const scale = scaling(header);
  const colours = depth >= 3 ? 3 : 1;
  const data = new Uint8Array(3 * width * height);
  for (let p = 0; p < width * height; p++)
    for (let c = 0; c < 3; c++) data[3 * p + c] = scale(samples[p * depth + (colours === 3 ? c : 0)]!);
  return { data, width, height };
}

/** Numbers of the file → 0 to 255. */
function scaling({ depth, most, isBits }: Header): (value: number) => number {
  if (isBits) return (value) => (value === 0 ? 255 : 0);
  if (most > 255 && depth < 3) return (value) => Math.min(65535, roundHalfEven((value / most) * 65535)) >> 8;
  return most === 255 ? (value) => value : (value) => Math.min(255, roundHalfEven((value / most) * 255));
}

/** As Python rounds. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}

/** Words of the file, one after another; from # to the end of a line is a comment. */
class Words {
  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
  ) {}

  /** @returns '' at the end of the file */
  next(longest = 20): string {
    const { bytes } = this;
    while (this.at < bytes.length && (isSpace(bytes[this.at]) || bytes[this.at] === HASH)) {
      if (bytes[this.at] === HASH) this.skipLine();
      else this.at++;
    }
    let word = '';
    while (this.at < bytes.length && word.length < longest && !isSpace(bytes[this.at]) && bytes[this.at] !== HASH)
      word += String.fromCharCode(bytes[this.at++]!);
    return word;
  }

  number(longest?: number): number {
    const word = this.next(longest);
    if (!/^\d+$/.test(word)) throw damaged();
    return Number(word);
  }

  skipLine(): void {
    while (this.at < this.bytes.length && this.bytes[this.at] !== NEW_LINE) this.at++;
  }
}

function readPnmHeader(bytes: Uint8Array): Header {
  const kind = bytes[1]! - 0x30;
  const words = new Words(bytes, 2);
  const [width, height] = [words.number(), words.number()];
  const isBits = kind === 1 || kind === 4;
  const most = isBits ? 1 : words.number();
  // One white space stands before binary pixels.
  return { width, height, depth: kind % 3 === 0 ? 3 : 1, most, isBits, isText: kind <= 3, pixels: words.at + 1 };
}

function readPamHeader(bytes: Uint8Array): Header {
  const words = new Words(bytes, 2);
  const values = new Map<string, number>();
  for (let key = words.next(); key !== 'ENDHDR'; key = words.next()) {
    if (key === '') throw damaged();
    if (key === 'TUPLTYPE') words.skipLine();
    else values.set(key, words.number());
  }
  const value = (key: string): number => values.get(key) ?? 0;
  return {
    width: value('WIDTH'),
    height: value('HEIGHT'),
    depth: value('DEPTH'),
    most: value('MAXVAL'),
    isBits: false,
    isText: false,
    pixels: words.at + 1,
  };
}

function readText(bytes: Uint8Array, { width, height, depth, isBits, pixels }: Header): Uint16Array {
  const count = width * height * depth;
  if (bytes.length - pixels < count) throw damaged(); // a sample is one character at least
  const words = new Words(bytes, pixels - 1);
  const samples = new Uint16Array(count);
  for (let i = 0; i < count; i++) samples[i] = Math.min(65535, words.number(isBits ? 1 : undefined));
  return samples;
}

function readBits(bytes: Uint8Array, { width, height, pixels }: Header): Uint8Array {
  const stride = Math.ceil(width / 8);
  if (pixels + stride * height > bytes.length) throw damaged();
  const samples = new Uint8Array(width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      samples[y * width + x] = (bytes[pixels + y * stride + (x >> 3)]! >> (7 - (x & 7))) & 1;
  return samples;
}

function readBytes(bytes: Uint8Array, { width, height, depth, most, pixels }: Header): Uint8Array | Uint16Array {
  const count = width * height * depth;
  const size = most > 255 ? 2 : 1;
  if (pixels + size * count > bytes.length) throw damaged();
  if (size === 1) return bytes.subarray(pixels, pixels + count);
  return Uint16Array.from({ length: count }, (_, i) => (bytes[pixels + 2 * i]! << 8) | bytes[pixels + 2 * i + 1]!);
}

function damaged(): InputError {
  return new InputError('the Netpbm image is truncated or damaged');
}
