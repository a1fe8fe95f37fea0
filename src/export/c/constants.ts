/** The constants of an exported program: weights, biases, multipliers, indices. */
import { createHash } from 'node:crypto';
import type { ArrayData } from './ops/definition.js';

const C_TYPES = [
  [Int8Array, 'int8_t'],
  [Uint8Array, 'uint8_t'],
  [Int16Array, 'int16_t'],
  [Int32Array, 'int32_t'],
  [BigInt64Array, 'int64_t'],
] as const;

interface Entry {
  readonly name: string;
  readonly data: ArrayData;
  /** Offset in the binary file. */
  readonly offset: number;
}

/** Of every array in the binary file. */
const ALIGN = 8;
/** What it begins with: tells another byte order, or another file. */
export const MARK = 0x49564954;

/** The arrays of a program by name. An array that several ops share is kept once. */
export class Constants {
  private readonly names = new Map<ArrayData, string>();
  private readonly entries: Entry[] = [];
  private end = ALIGN;

  constructor(
    /** In front of every name. */
    private readonly prefix: string,
  ) {}

  add(name: string, data: ArrayData): string {
    const known = this.names.get(data);
    if (known !== undefined) return known;
    const full = `${this.prefix}_${name}`;
    this.names.set(data, full);
    this.entries.push({ name: full, data, offset: this.end });
    this.end += data.byteLength + ((ALIGN - (data.byteLength % ALIGN)) % ALIGN);
    return full;
  }

  get bytes(): number {
    return this.entries.reduce((sum, { data }) => sum + data.byteLength, 0);
  }

  /** Declarations for the program. @param isBinary they name places in the binary file */
  declarations(isBinary: boolean): string {
    const base = `${this.prefix}_weights`;
    return this.entries
      .map(({ name, data, offset }) => {
        const type = typeOf(data);
        return isBinary
          ? `#define ${name} ((const ${type} *)(const void *)(${base} + ${offset}))`
          : `extern const ${type} ${name}[${data.length}];`;
      })
      .join('\n');
  }

  /** @param attribute in front of each definition */
  definitions(attribute: string): string {
    return this.entries
      .map(({ name, data }) => `${attribute}const ${typeOf(data)} ${name}[${data.length}] = {\n${listed(data)}};\n`)
      .join('\n');
  }

  /** All arrays in little-endian order, each on 8 bytes, after the mark and a hash of them; and that hash, an i32. */
  binary(): { bytes: Uint8Array; hash: number } {
    const bytes = new Uint8Array(this.end);
    const view = new DataView(bytes.buffer);
    for (const { data, offset } of this.entries) writeArray(view, offset, data);
    const hash = createHash('sha256').update(bytes).digest().readInt32LE();
    view.setInt32(0, MARK, true);
    view.setInt32(4, hash, true);
    return { bytes, hash };
  }
}

function writeArray(view: DataView, offset: number, data: ArrayData): void {
  const size = data.BYTES_PER_ELEMENT;
  for (let i = 0; i < data.length; i++) {
    const at = offset + i * size;
    const value = data[i];
    if (typeof value === 'bigint') view.setBigInt64(at, value, true);
    else if (size === 4) view.setInt32(at, value, true);
    else if (size === 2) view.setInt16(at, value, true);
    else view.setUint8(at, value & 255);
  }
}

const typeOf = (data: ArrayData): string => C_TYPES.find(([array]) => data instanceof array)![1];

const LINE = 116;

/** Numbers in lines. */
function listed(data: ArrayData): string {
  const lines: string[] = [];
  let line = '';
  for (const value of data) {
    const text = `${value},`;
    if (line.length + text.length > LINE) {
      lines.push(line);
      line = '';
    }
    line += text;
  }
  lines.push(line, '');
  return lines.map((one) => (one === '' ? '' : `  ${one}`)).join('\n');
}
