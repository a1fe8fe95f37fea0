/** NumPy's array files: .npy, and .npz, which is an uncompressed zip of them. */
import { crc32 } from 'node:zlib';

export interface NpyArray {
  readonly shape: readonly number[];
  /** Row-major; texts are stored as NumPy stores them, in UTF-32. */
  readonly data: Int32Array | Float32Array | Float64Array | readonly string[];
}

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]; // \x93NUMPY, version 1.0
const HEADER_ALIGNMENT = 64;

/** An array as a .npy file. */
export function encodeNpy({ shape, data }: NpyArray): Uint8Array {
  const { descr, bytes } = body(data);
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const prefix = MAGIC.length + 2;
  const length = Math.ceil((prefix + text.length + 1) / HEADER_ALIGNMENT) * HEADER_ALIGNMENT - prefix;
  const file = new Uint8Array(prefix + length + bytes.length);
  file.set(MAGIC);
  new DataView(file.buffer).setUint16(MAGIC.length, length, true);
  file.set(new TextEncoder().encode(`${text.padEnd(length - 1)}\n`), prefix);
  file.set(bytes, prefix + length);
  return file;
}

function body(data: NpyArray['data']): { descr: string; bytes: Uint8Array } {
  if (ArrayBuffer.isView(data)) {
    const descr = data instanceof Int32Array ? '<i4' : data instanceof Float32Array ? '<f4' : '<f8';
    return { descr, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
  }
  const texts = data.map((text) => Array.from(text, (character) => character.codePointAt(0)!));
  const longest = Math.max(1, ...texts.map(({ length }) => length));
  const points = new Uint32Array(longest * texts.length);
  texts.forEach((text, i) => points.set(text, i * longest));
  return { descr: `<U${longest}`, bytes: new Uint8Array(points.buffer) };
}

/** Arrays by name as a .npz file, as `numpy.savez` writes it. */
export function encodeNpz(arrays: ReadonlyMap<string, NpyArray>): Uint8Array {
  return zip([...arrays].map(([name, array]) => ({ name: `${name}.npy`, bytes: encodeNpy(array) })));
}

interface ZipEntry {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const VERSION = 20;
const UTF8_NAMES = 0x0800;
/** 1980-01-01, the first date that a zip can say: the same arrays give the same bytes. */
const DATE = 0x21;
const MAX_BYTES = 2 ** 32 - 1;

/** A zip without compression, of less than 4 GiB. */
function zip(entries: readonly ZipEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const { name, bytes } of entries) {
    const encoded = new TextEncoder().encode(name);
    const common = [VERSION, UTF8_NAMES, 0, 0, DATE] as const;
    const sizes = [crc32(bytes), bytes.length, bytes.length] as const;
    const local = record([4, LOCAL], ...u16(common), ...u32(sizes), ...u16([encoded.length, 0]));
    const where = [...u16([encoded.length, 0, 0, 0, 0]), ...u32([0, at])];
    directory.push(record([4, CENTRAL], ...u16([VERSION, ...common]), ...u32(sizes), ...where), encoded);
    parts.push(local, encoded, bytes);
    at += local.length + encoded.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  if (at + size > MAX_BYTES) throw new RangeError(`${at + size} bytes are more than a .npz file can hold`);
  const count = entries.length;
  const end = record([4, END], ...u16([0, 0, count, count]), ...u32([size, at]), ...u16([0]));
  return new Uint8Array(Buffer.concat([...parts, ...directory, end]));
}

type Field = readonly [bytes: 2 | 4, value: number];

const u16 = (values: readonly number[]): Field[] => values.map((value) => [2, value]);
const u32 = (values: readonly number[]): Field[] => values.map((value) => [4, value]);

/** Little-endian fields, one after the other. */
function record(...fields: readonly Field[]): Uint8Array {
  const bytes = new Uint8Array(fields.reduce((sum, [size]) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return bytes;
}
