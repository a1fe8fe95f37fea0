/**
 * What a run of `ivit eval` found, image by image, in a file of JSON lines: a header that says of what, a row for each
 * image, and an end. A run writes to `FILE.partial`, which takes the name once it is whole: a run that was killed
 * leaves nothing that counts, and can be resumed.
 */
import * as fs from 'node:fs';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import * as v from 'valibot';
import { InputError } from '../errors.js';
import { nearFile } from '../near-file.js';
import { finite } from '../metrics/image-row.js';
import type { ImageRow, SkippedRow } from '../metrics/image-row.js';
import type { ModelOutput } from '../metrics/output.js';
import { requireRegularFile } from '../regular-file.js';

export type Row = ImageRow | SkippedRow;

/** One of `count` parts of a run, counted from 1. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

export interface PartHeader {
  readonly format: typeof FORMAT;
  readonly version: typeof VERSION;
  readonly tool: string;
  readonly model: { readonly name: string; readonly hash: string; readonly labels: readonly string[] | null };
  readonly classes: number;
  readonly outputs: readonly ModelOutput[];
  readonly dataset: {
    readonly source: string;
    /** Of the names and classes of all images. */
    readonly digest: string;
    readonly images: number;
    readonly unread: Readonly<Record<string, number>>;
  };
  readonly settings: { readonly limit: number | null; readonly exif: 'apply' | 'ignore' };
  /** The float model that was run beside, by the hash of its file; null where none was. */
  readonly float: { readonly sha256: string; readonly runtime: string } | null;
  readonly shard: Shard;
}

export interface PartEnd {
  readonly end: true;
  readonly rows: number;
  /** How many images were timed, and for how long together: those of the last run, where a killed one was resumed. */
  readonly timed: number;
  readonly seconds: number;
}

const FORMAT = 'ivit evaluation';
const VERSION = 1;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const text = v.string();
/** NaN is null in JSON. */
const figure = v.nullable(v.number());
const pair = { same: v.boolean(), kl: figure, signal: figure, noise: figure };

const HeaderSchema = v.looseObject({
  format: v.literal(FORMAT),
  version: v.literal(VERSION),
  tool: text,
  model: v.object({ name: text, hash: text, labels: v.nullable(v.array(text)) }),
  classes: count,
  outputs: v.array(
    v.looseObject({ name: text, shape: v.array(count), start: count, tail: v.array(v.any()), isClasses: v.boolean() }),
  ),
  dataset: v.object({ source: text, digest: text, images: count, unread: v.record(text, count) }),
  settings: v.object({ limit: v.nullable(count), exif: v.picklist(['apply', 'ignore']) }),
  float: v.nullable(v.object({ sha256: text, runtime: text })),
  shard: v.object({ index: count, count }),
});

const RowSchema = v.union([
  v.strictObject({ index: count, path: text, skipped: text }),
  v.strictObject({
    index: count,
    path: text,
    label: v.nullable(v.union([count, v.array(count)])),
    prediction: v.nullable(count),
    probability: v.nullable(v.number()),
    rank: v.nullable(count),
    ms: v.number(),
    turned: v.optional(v.literal(true)),
    coloured: v.optional(v.literal(true)),
    digest: text,
    scores: v.optional(v.array(v.number())),
    float: v.optional(
      v.object({
        prediction: v.nullable(count),
        rank: v.nullable(count),
        scores: v.object(pair),
        outputs: v.array(v.object({ ...pair, cosine: figure })),
      }),
    ),
  }),
]);

const EndSchema = v.object({ end: v.literal(true), rows: count, timed: count, seconds: v.number() });

export function partHeader(content: Omit<PartHeader, 'format' | 'version'>): PartHeader {
  return { format: FORMAT, version: VERSION, ...content };
}

/** Where a run writes before it is whole. */
export const partialName = (file: string): string => `${file}.partial`;

/** Why two headers are not of one run, whatever the shards; null where they are. */
export function headerDifference(a: PartHeader, b: PartHeader): string | null {
  const differs = (of: (header: PartHeader) => unknown) => JSON.stringify(of(a)) !== JSON.stringify(of(b));
  if (differs(({ model }) => model.hash)) return `of another model (${a.model.name}, ${a.model.hash})`;
  if (differs(({ dataset: { digest, images } }) => [digest, images]))
    return `of another dataset (${a.dataset.source}: ${a.dataset.images} images; names or classes differ)`;
  if (differs(({ settings }) => settings)) return `of other settings (${JSON.stringify(a.settings)})`;
  if (differs(({ float }) => float?.sha256))
    return a.float === null ? 'without the float model' : 'with another float model';
  return null;
}

/** Writes the rows of a run as they are found. */
export class PartWriter {
  private rows: number;

  private constructor(
    private readonly file: string,
    private readonly handle: number,
    /** What an earlier run found. */
    readonly earlier: readonly Row[],
  ) {
    this.rows = earlier.length;
  }

  /**
   * Starts a part; or goes on with what a killed run left, where `resume` says so and there is anything.
   *
   * @throws InputError where what is left is of another run
   */
  static async open(file: string, header: PartHeader, resume: boolean): Promise<PartWriter> {
    const partial = partialName(file);
    const left = resume && fs.existsSync(partial) ? await readLeft(partial, header) : null;
    if (left !== null) {
      fs.truncateSync(partial, left.bytes);
      return new PartWriter(file, fs.openSync(partial, 'a'), left.rows);
    }
    fs.rmSync(partial, { force: true });
    const handle = fs.openSync(partial, 'wx');
    const writer = new PartWriter(file, handle, []);
    writer.write(header);
    return writer;
  }

  add(row: Row): void {
    this.write(row);
    this.rows++;
  }

  /**
   * Gives the part its name.
   *
   * @throws InputError where another run writes the same part
   */
  finish(timing: Pick<PartEnd, 'timed' | 'seconds'>): void {
    this.write({ end: true, rows: this.rows, ...timing });
    fs.fsyncSync(this.handle);
    const partial = partialName(this.file);
    const [mine, there] = [fs.fstatSync(this.handle), fs.statSync(partial, { throwIfNoEntry: false })];
    fs.closeSync(this.handle);
    if (there?.ino !== mine.ino)
      throw new InputError(
        `Another run writes ${this.file} at the same time: this one is given up; take the other's, or another --out`,
      );
    fs.renameSync(partial, this.file);
  }

  /** Leaves what there is for another run to resume, if it is anything. */
  giveUp(): void {
    fs.closeSync(this.handle);
    if (this.rows === 0) fs.rmSync(partialName(this.file), { force: true });
  }

  private write(value: object): void {
    const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
    let at = 0;
    while (at < bytes.length) at += fs.writeSync(this.handle, bytes, at);
  }
}

/** What a killed run left: its whole rows, and how many bytes these take with the header. */
async function readLeft(file: string, header: PartHeader): Promise<{ rows: Row[]; bytes: number } | null> {
  let bytes = 0;
  const rows: Row[] = [];
  const size = fs.statSync(file).size;
  for await (const line of linesOf(file)) {
    const value = parsed(line);
    const end = bytes + Buffer.byteLength(line) + 1;
    if (value === undefined || end > size) break; // the line that it was killed in
    if (bytes === 0) {
      const found = v.safeParse(HeaderSchema, value);
      if (!found.success) throw new InputError(`${file} is not of this program: delete it, or leave out --resume`);
      const left = found.output as PartHeader;
      const { index, count: of } = left.shard;
      const isOther = index !== header.shard.index || of !== header.shard.count;
      const difference = isOther ? `of shard ${index}/${of}` : headerDifference(left, header);
      if (difference !== null)
        throw new InputError(`${file} cannot be resumed: it is ${difference}. Delete it, or leave out --resume`);
    } else if ('end' in value) break;
    else rows.push(rowOf(value, file));
    bytes = end;
  }
  return bytes === 0 ? null : { rows, bytes };
}

/** A part that is whole, opened. */
export interface Part {
  readonly file: string;
  readonly header: PartHeader;
  /**
   * Its rows in the order of their indices, and its end.
   *
   * @throws InputError where it is cut off or damaged
   */
  readonly rows: AsyncGenerator<Row, PartEnd>;
  close(): Promise<unknown>;
}

/** @throws InputError where the file is no part */
export async function openPart(file: string): Promise<Part> {
  requireRegularFile(file);
  if (!fs.existsSync(file)) throw new InputError(`No such file: ${file}${nearFile(file)}`, { code: 'NOT_FOUND' });
  const lines = linesOf(file);
  const { value: first = '' } = (await lines.next()) as IteratorResult<string, undefined>;
  const found = v.safeParse(HeaderSchema, parsed(first));
  if (!found.success) {
    await lines.return(undefined);
    const { format, version } = (parsed(first) ?? {}) as { format?: unknown; version?: unknown };
    throw new InputError(
      format === FORMAT && version !== VERSION
        ? `${file} is of version ${String(version)}; this program reads version ${VERSION}. Run its shard again`
        : `${file} is no part of an evaluation: ivit eval --out writes such files`,
    );
  }
  const rows = rowsOf(lines, file);
  return { file, header: found.output as PartHeader, rows, close: () => lines.return(undefined) };
}

async function* rowsOf(lines: AsyncGenerator<string>, file: string): AsyncGenerator<Row, PartEnd> {
  let [rows, last] = [0, -1];
  for await (const line of lines) {
    const value = parsed(line);
    if (value === undefined) break;
    const end = v.safeParse(EndSchema, value);
    if (end.success) {
      if (end.output.rows !== rows) break;
      return end.output;
    }
    const row = rowOf(value, file);
    if (row.index <= last) throw new InputError(`${file} is damaged: its rows are not in order. Run its shard again`);
    last = row.index;
    rows++;
    yield row;
  }
  throw new InputError(`${file} is not whole: it ends after ${rows} images. Run its shard again`);
}

/** @throws InputError where it is none */
function rowOf(value: object, file: string): Row {
  const found = v.safeParse(RowSchema, value);
  if (!found.success) throw new InputError(`${file} is damaged: it holds a row that is none. Run its shard again`);
  const row = found.output as Row;
  if (!('float' in row) || row.float === undefined) return row;
  const { scores, outputs, ...rest } = row.float;
  return { ...row, float: { ...rest, scores: finite(scores), outputs: outputs.map((one) => finite(one)) } };
}

async function* linesOf(file: string): AsyncGenerator<string> {
  const input = createReadStream(file);
  try {
    yield* createInterface({ input, crlfDelay: Infinity });
  } finally {
    input.destroy();
  }
}

function parsed(line: string): object | undefined {
  try {
    const value = JSON.parse(line) as unknown;
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
