/**
 * A file of values under names: a line of JSON that says of what, then records, each with its length and a checksum.
 * What a kill cut off counts for nothing.
 */
import * as fs from 'node:fs';
import { deserialize, serialize } from 'node:v8';
import { crc32 } from 'node:zlib';

/** In what a file's subject differs from the one wanted, in the words for its parts; null: in nothing. */
export function differenceOf<Subject extends object>(
  found: Partial<Subject>,
  wanted: Partial<Subject>,
  words: Readonly<Record<keyof Subject, string>>,
): string | null {
  const part = (Object.keys(words) as (keyof Subject)[]).find(
    (key) => key in wanted && JSON.stringify(found[key]) !== JSON.stringify(wanted[key]),
  );
  return part === undefined ? null : words[part];
}

/** A header is a few hundred bytes. */
const MAX_HEADER = 1 << 16;
/** Bytes of the name, bytes of the value, CRC-32 of both. */
const RECORD_WORDS = 3;
const RECORD_BYTES = 4 * RECORD_WORDS;

/** Where a value lies in the file. */
interface Place {
  readonly at: number;
  readonly bytes: number;
}

export class RecordFile {
  private constructor(
    private readonly handle: number,
    private readonly places: Map<string, Place>,
    private end: number,
  ) {}

  /** Begins a file: whatever it held is gone. @param handle open for reading and writing */
  static begin(handle: number, header: object): RecordFile {
    fs.ftruncateSync(handle, 0);
    const made = new RecordFile(handle, new Map(), 0);
    made.append(Buffer.from(`${JSON.stringify(header)}\n`));
    return made;
  }

  /** @returns null where there is not even a header */
  static read(handle: number): { readonly header: unknown; readonly records: RecordFile } | null {
    const found = readHeader(handle);
    if (found === null) return null;
    const places = new Map<string, Place>();
    const end = readRecords(handle, found.end, places);
    return { header: found.header, records: new RecordFile(handle, places, end) };
  }

  /** How many values there are. */
  get size(): number {
    return this.places.size;
  }

  get(name: string): unknown {
    const place = this.places.get(name);
    return place === undefined ? undefined : deserialize(readBytes(this.handle, place.at, place.bytes));
  }

  /** Bytes of a value; undefined: there is none. */
  lengthOf(name: string): number | undefined {
    return this.places.get(name)?.bytes;
  }

  /** Bytes [from, to) of what was put as bytes. */
  bytesOf(name: string, from: number, to: number): Uint8Array {
    return readBytes(this.handle, this.places.get(name)!.at + from, to - from);
  }

  /** What follows the last whole record is written over. @throws the system's error */
  put(name: string, value: unknown): void {
    this.putBytes(name, serialize(value));
  }

  putBytes(name: string, bytes: Uint8Array): void {
    const key = Buffer.from(name);
    const head = Buffer.alloc(RECORD_BYTES);
    head.writeUInt32LE(key.length, 0);
    head.writeUInt32LE(bytes.length, 4);
    head.writeUInt32LE(crc32(bytes, crc32(key)), 8);
    const at = this.end + RECORD_BYTES + key.length;
    for (const part of [head, key, bytes]) this.append(part);
    this.places.set(name, { at, bytes: bytes.length });
  }

  close(): void {
    fs.closeSync(this.handle);
  }

  private append(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;)
      done += fs.writeSync(this.handle, bytes, done, bytes.length - done, this.end + done);
    this.end += bytes.length;
  }
}

/** @returns null where a kill left not even this */
function readHeader(handle: number): { header: unknown; end: number } | null {
  const start = readBytes(handle, 0, Math.min(MAX_HEADER, fs.fstatSync(handle).size));
  const end = start.indexOf('\n');
  if (end < 0) return null;
  try {
    return { header: JSON.parse(start.toString('utf8', 0, end)), end: end + 1 };
  } catch {
    return null;
  }
}

/** @returns where the last whole record ends */
function readRecords(handle: number, start: number, places: Map<string, Place>): number {
  const { size } = fs.fstatSync(handle);
  let at = start;
  while (at + RECORD_BYTES <= size) {
    const head = readBytes(handle, at, RECORD_BYTES);
    const [nameBytes, valueBytes, sum] = Array.from({ length: RECORD_WORDS }, (_, i) => head.readUInt32LE(4 * i));
    const next = at + RECORD_BYTES + nameBytes! + valueBytes!;
    if (next > size) break;
    const content = readBytes(handle, at + RECORD_BYTES, nameBytes! + valueBytes!);
    if (crc32(content) !== sum) break;
    places.set(content.toString('utf8', 0, nameBytes), { at: next - valueBytes!, bytes: valueBytes! });
    at = next;
  }
  return at;
}

function readBytes(handle: number, at: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const read = fs.readSync(handle, bytes, done, length - done, at + done);
    if (read === 0) break;
    done += read;
  }
  return bytes.subarray(0, done);
}
