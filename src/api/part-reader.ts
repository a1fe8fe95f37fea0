/** Reads what a run of `ivit eval` found. */
import { createReadStream, existsSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import * as v from 'valibot';
import { InputError } from '../errors.js';
import { nearFile } from '../near-file.js';
import { finite } from '../metrics/image-row.js';
import { requireRegularFile } from '../regular-file.js';
import { EndSchema, FORMAT, HeaderSchema, RowSchema, VERSION, chosenBy } from './part-file.js';
import type { PartEnd, PartHeader, Row } from './part-file.js';

/** More than the names of a million classes take. */
const MAX_LINE = 2 ** 28;

/** A part that is whole, as far as its header tells. */
export interface Part {
  readonly file: string;
  readonly header: PartHeader;
  /**
   * Its rows in the order of their indices, and its end. The file is open while they are read.
   *
   * @throws InputError where it is cut off or damaged
   */
  rows(): AsyncGenerator<Row, PartEnd>;
}

/** @throws InputError where the file is no part */
export async function openPart(file: string): Promise<Part> {
  requireRegularFile(file);
  if (!existsSync(file)) throw new InputError(`No such file: ${file}${nearFile(file)}`, { code: 'NOT_FOUND' });
  const lines = linesOf(file, 0);
  const { value: first } = await lines.next();
  await lines.return(undefined);
  const content = parsed(first?.text ?? '');
  const found = v.safeParse(HeaderSchema, content);
  if (!found.success || first === undefined) {
    const { format, version } = (content ?? {}) as { format?: unknown; version?: unknown };
    throw new InputError(
      format === FORMAT && version !== VERSION
        ? `${file} is of version ${String(version)}; this program reads version ${VERSION}. Run its shard again`
        : `${file} is no part of an evaluation: ivit eval --out writes such files`,
    );
  }
  const header = found.output as PartHeader;
  return { file, header, rows: () => rowsOf(file, header, first) };
}

/** @param first the line of the header */
async function* rowsOf(file: string, header: PartHeader, first: Line): AsyncGenerator<Row, PartEnd> {
  const wanted = chosenBy(header);
  let [rows, crc] = [0, crcOf(first, 0)];
  for await (const line of linesOf(file, first.bytes)) {
    const value = parsed(line.text);
    if (value === undefined) break;
    const end = v.safeParse(EndSchema, value);
    if (end.success) {
      if (end.output.rows !== rows || rows !== wanted.length) break;
      if (end.output.crc !== crc) throw damaged(file, 'its checksum is another');
      return end.output;
    }
    const row = rowOf(value, file, header);
    if (row.index !== wanted[rows]) throw damaged(file, 'its rows are not those of its images, in order');
    rows++;
    crc = crcOf(line, crc);
    yield row;
  }
  throw new InputError(`${file} is not whole: it ends after ${rows} images. Run its shard again`);
}

/** What a killed run left. */
interface Left {
  readonly header: PartHeader;
  readonly rows: readonly Row[];
  /** That whole lines take, the header and its rows. */
  readonly bytes: number;
  /** Of these. */
  readonly crc: number;
}

/**
 * @returns null where there is not even a header
 * @throws InputError where it is damaged, or none of this program's
 */
export async function readLeft(file: string): Promise<Left | null> {
  requireRegularFile(file);
  let header: PartHeader | undefined;
  const rows: Row[] = [];
  let [bytes, crc] = [0, 0];
  for await (const line of linesOf(file, 0)) {
    const value = line.isWhole ? parsed(line.text) : undefined;
    if (value === undefined) break; // the line that it was killed in
    if (header === undefined) {
      const found = v.safeParse(HeaderSchema, value);
      if (!found.success) throw new InputError(`${file} is not of this program: delete it, or leave out --resume`);
      header = found.output as PartHeader;
    } else if ('end' in value) break;
    else rows.push(rowOf(value, file, header));
    bytes += line.bytes;
    crc = crcOf(line, crc);
  }
  return header === undefined ? null : { header, rows, bytes, crc };
}

function damaged(file: string, how: string): InputError {
  return new InputError(`${file} is damaged: ${how}. Run its shard again`);
}

/** @throws InputError where it is none of a run with this header */
function rowOf(value: object, file: string, { float, outputs, classes }: PartHeader): Row {
  const found = v.safeParse(RowSchema, value);
  const row = found.success ? (found.output as Row) : undefined;
  const isSkipped = row !== undefined && 'skipped' in row;
  const isWhole =
    isSkipped ||
    (row?.float?.outputs.length === (float === null ? undefined : outputs.length) &&
      (row?.scores?.length ?? classes) === classes);
  if (row === undefined || !isWhole) throw damaged(file, 'it holds a row that is none');
  if (isSkipped || row.float === undefined) return row;
  const { scores, outputs: ofOutputs, ...rest } = row.float;
  return { ...row, float: { ...rest, scores: finite(scores), outputs: ofOutputs.map((one) => finite(one)) } };
}

interface Line {
  readonly text: string;
  /** With its end. */
  readonly bytes: number;
  /** Whether it has an end. */
  readonly isWhole: boolean;
}

/** Of a line as it was written: programs that copy text may end lines in their own way. */
const crcOf = ({ text }: Line, before: number): number => crc32(Buffer.from(`${text}\n`), before);

/**
 * @param start where in the file the first line begins
 * @throws InputError where it cannot be read
 */
async function* linesOf(file: string, start: number): AsyncGenerator<Line, undefined> {
  let left: Buffer[] = [];
  let length = 0;
  const lineOf = (last: Buffer, isWhole: boolean): Line => {
    const bytes = Buffer.concat([...left, last]);
    [left, length] = [[], 0];
    return { text: bytes.toString('utf8').replace(/\r$/, ''), bytes: bytes.length + Number(isWhole), isWhole };
  };
  try {
    for await (const chunk of createReadStream(file, { start }) as AsyncIterable<Buffer>) {
      let from = 0;
      for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
        yield lineOf(chunk.subarray(from, end), true);
        from = end + 1;
      }
      if (from < chunk.length) left.push(chunk.subarray(from));
      length += chunk.length - from;
      if (length > MAX_LINE) throw new RangeError('it is no text');
    }
  } catch (error) {
    throw new InputError(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  if (left.length > 0) yield lineOf(Buffer.alloc(0), false);
  return undefined;
}

function parsed(line: string): object | undefined {
  try {
    const value = JSON.parse(line) as unknown;
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
