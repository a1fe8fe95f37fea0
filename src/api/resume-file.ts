/**
 * What the stages of a quantization gave, in a file beside its output, so that a killed run can go on where it was: a
 * line of JSON that says of what, then records, each with its length and a checksum. What a kill cut off counts for
 * nothing.
 */
import * as fs from 'node:fs';
import { deserialize, serialize } from 'node:v8';
import { crc32 } from 'node:zlib';
import { InputError } from '../errors.js';
import { requireRegularFile } from '../regular-file.js';
import type { Stages } from '../quantize/index.js';

/** What a run depends on: it goes on only where all of it is the same. */
export interface ResumeSubject {
  readonly tool: string;
  /** SHA-256 of the ONNX file. */
  readonly model: string;
  /** How many calibration images, and SHA-256 of their pixels. */
  readonly images: string;
  readonly preprocessing: string;
  readonly settings: string;
  /** SHA-256 of the files of statistics given. */
  readonly statistics: readonly string[];
}

/** What a subject's parts are called in messages. */
const PARTS: Readonly<Record<keyof ResumeSubject, string>> = {
  tool: 'another version of ivit',
  model: 'another model',
  images: 'other calibration images',
  preprocessing: 'another pre-processing',
  settings: 'other settings',
  statistics: 'other statistics',
};

const FORMAT = 'ivit resume';
/** A subject is a few hundred bytes. */
const MAX_HEADER = 1 << 16;
/** Bytes of the name, bytes of the value, CRC-32 of both. */
const RECORD_WORDS = 3;
const RECORD_BYTES = 4 * RECORD_WORDS;

/** Where the stages of a quantization are kept. */
export const resumeName = (output: string): string => `${output}.resume`;

/** Says so where a killed run left its file, and nobody asked to go on from it. */
export function noticeLeft(output: string, notice?: (text: string) => void): void {
  const left = resumeName(output);
  if (fs.existsSync(left)) notice?.(`${left} is left of a killed run: give --resume to go on from it, or delete it.`);
}

/** Where a value lies in the file. */
interface Place {
  readonly at: number;
  readonly bytes: number;
}

export class ResumeFile implements Stages {
  private constructor(
    private readonly file: string,
    private readonly handle: number,
    private readonly places: Map<string, Place>,
    private end: number,
  ) {}

  /**
   * Goes on with what a killed run left, or starts anew where it left nothing.
   *
   * @throws InputError where what it left is of something else
   */
  static open(file: string, subject: ResumeSubject): ResumeFile {
    if (fs.existsSync(file)) {
      requireRegularFile(file);
      const handle = fs.openSync(file, 'r+');
      try {
        const found = readHeader(handle);
        if (found !== null) {
          const part = (Object.keys(PARTS) as (keyof ResumeSubject)[]).find(
            (key) => JSON.stringify(found.subject[key]) !== JSON.stringify(subject[key]),
          );
          if (part !== undefined)
            throw new InputError(
              `${file} is of a killed run with ${PARTS[part]}: delete it, or give what that run had`,
            );
          const places = new Map<string, Place>();
          const end = readRecords(handle, found.end, places);
          fs.ftruncateSync(handle, end);
          return new ResumeFile(file, handle, places, end);
        }
      } catch (error) {
        fs.closeSync(handle);
        throw error;
      }
      fs.closeSync(handle);
    }
    const handle = fs.openSync(file, 'w+');
    const header = Buffer.from(`${JSON.stringify({ format: FORMAT, subject })}\n`);
    const made = new ResumeFile(file, handle, new Map(), 0);
    made.append(header);
    return made;
  }

  /** Whether there was anything to go on from. */
  get isResumed(): boolean {
    return this.places.size > 0;
  }

  get(name: string): unknown {
    const place = this.places.get(name);
    return place === undefined ? undefined : deserialize(readBytes(this.handle, place.at, place.bytes));
  }

  /** @throws InputError where the disk is full */
  put(name: string, value: unknown): void {
    const [key, bytes] = [Buffer.from(name), serialize(value)];
    const head = Buffer.alloc(RECORD_BYTES);
    head.writeUInt32LE(key.length, 0);
    head.writeUInt32LE(bytes.length, 4);
    head.writeUInt32LE(crc32(bytes, crc32(key)), 8);
    const at = this.end + RECORD_BYTES + key.length;
    for (const part of [head, key, bytes]) this.append(part);
    this.places.set(name, { at, bytes: bytes.length });
  }

  /** The run ended otherwise than well: what is there stays. */
  close(): void {
    fs.closeSync(this.handle);
  }

  /** The run is done. */
  remove(): void {
    this.close();
    fs.rmSync(this.file, { force: true });
  }

  private append(bytes: Uint8Array): void {
    try {
      for (let done = 0; done < bytes.length;)
        done += fs.writeSync(this.handle, bytes, done, bytes.length - done, this.end + done);
    } catch (error) {
      throw new InputError(
        `${this.file} cannot be written (${(error as Error).message}); free some space, or leave out --resume`,
        { cause: error, code: 'UNWRITABLE' },
      );
    }
    this.end += bytes.length;
  }
}

/** @returns null where a kill left not even this */
function readHeader(handle: number): { subject: Partial<ResumeSubject>; end: number } | null {
  const start = readBytes(handle, 0, Math.min(MAX_HEADER, fs.fstatSync(handle).size));
  const end = start.indexOf('\n');
  if (end < 0) return null;
  try {
    const { format, subject } = JSON.parse(start.toString('utf8', 0, end)) as {
      format?: unknown;
      subject?: Partial<ResumeSubject>;
    };
    return format === FORMAT && typeof subject === 'object' && subject !== null ? { subject, end: end + 1 } : null;
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
