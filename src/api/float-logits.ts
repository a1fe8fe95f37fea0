/**
 * The float model's numbers for the images of a dataset, kept in a file: computed once, compared with many integer
 * models. A safetensors file (any reader of these opens it) of
 *
 * - `index`, I32 [images]: each image's place in the dataset;
 * - `logits`, F32 [images, numbers]: all outputs end to end, before the steps left to display;
 * - `pixels`, U8 [images, 32]: SHA-256 of what the network read, zeros where the image could not be used.
 *
 * The metadata say of which model, pre-processing and dataset they are. Written to `FILE.partial`, which takes the name
 * once it is whole.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { InputError } from '../errors.js';
import { distinctOutputs, outputSize } from '../metrics/output.js';
import { requireRegularFile } from '../regular-file.js';
import { PartialFile, partialName } from './partial-file.js';
import type { Model } from './model.js';

/** What gives the float model's numbers for an image. */
export interface FloatSide {
  readonly runtime: string;
  /** SHA-256 of the ONNX file. */
  readonly sha256: string;
  /** @param index of the image in the dataset */
  run(pixels: Uint8Array, index: number): Promise<Float32Array>;
  close(): Promise<void>;
}

/** What logits depend on: they are used only where all of it is the same. */
export interface FloatSubject {
  /** SHA-256 of the ONNX file. */
  readonly model: string;
  /** Resizing, crop and normalization, as JSON. */
  readonly preprocessing: string;
  /** Names and sizes of the outputs, as JSON. */
  readonly outputs: string;
  /** Of the names and classes of all images. */
  readonly dataset: string;
}

const FORMAT = 'ivit float logits';
/** What to do about a file of them that cannot be used. */
const AGAIN = 'give the float model (--float model.onnx), and --save-float to keep its logits';
const DIGEST_BYTES = 32;
const MAX_HEADER_BYTES = 2 ** 20;

const WHAT: Readonly<Record<keyof FloatSubject, string>> = {
  model: 'model',
  preprocessing: 'pre-processing',
  outputs: 'outputs',
  dataset: 'dataset',
};

/** What logits for a model's own float file would be of. */
export function floatSubject(model: Model, dataset: string): FloatSubject {
  const { preprocess, provenance, outputs, program } = model.file;
  // The numbers alone: where they were found changes nothing.
  const { mean, std, scale } = provenance.normalization;
  return {
    model: provenance.source.sha256,
    preprocessing: JSON.stringify({ ...preprocess, channels: program.input.channels, mean, std, scale }),
    outputs: JSON.stringify(distinctOutputs(outputs).map((output) => [output.name, outputSize(output)])),
    dataset,
  };
}

const numbersIn = (subject: FloatSubject): number =>
  (JSON.parse(subject.outputs) as [string, number][]).reduce((sum, [, size]) => sum + size, 0);

const digestOfPixels = (pixels: Uint8Array): Buffer => createHash('sha256').update(pixels).digest();

/** Whether a file begins as one of these does. */
export function isFloatLogits(file: string): boolean {
  requireRegularFile(file);
  if (!fs.existsSync(file) || fs.statSync(file).isDirectory()) return false;
  const handle = fs.openSync(file, 'r');
  try {
    const start = Buffer.alloc(256);
    const read = fs.readSync(handle, start);
    return start[8] === '{'.charCodeAt(0) && start.subarray(0, read).includes(FORMAT);
  } finally {
    fs.closeSync(handle);
  }
}

/** Where the parts of the file lie. */
class Layout {
  readonly header: Buffer;
  readonly index: number;
  readonly logits: number;
  readonly pixels: number;
  readonly end: number;

  constructor(
    readonly images: number,
    readonly numbers: number,
    metadata: Readonly<Record<string, string>>,
  ) {
    const ends = [4 * images, 4 * images * (1 + numbers), 4 * images * (1 + numbers) + DIGEST_BYTES * images] as const;
    const json = JSON.stringify({
      __metadata__: metadata,
      index: { dtype: 'I32', shape: [images], data_offsets: [0, ends[0]] },
      logits: { dtype: 'F32', shape: [images, numbers], data_offsets: [ends[0], ends[1]] },
      pixels: { dtype: 'U8', shape: [images, DIGEST_BYTES], data_offsets: [ends[1], ends[2]] },
    });
    const text = Buffer.from(json + ' '.repeat((8 - (Buffer.byteLength(json) % 8)) % 8));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    this.header = Buffer.concat([length, text]);
    this.index = this.header.length;
    this.logits = this.index + ends[0];
    this.pixels = this.index + ends[1];
    this.end = this.index + ends[2];
  }
}

export class FloatLogitsWriter {
  private constructor(
    private readonly file: PartialFile,
    private readonly layout: Layout,
    private readonly rows: ReadonlyMap<number, number>,
  ) {}

  /**
   * @param indices of the images, in the order in which they are kept
   * @param resume whether what a killed run left is filled up
   * @throws InputError where what is left is of another run
   */
  static open(
    file: string,
    subject: FloatSubject,
    { indices, runtime, resume }: { indices: readonly number[]; runtime: string; resume: boolean },
  ): FloatLogitsWriter {
    const layout = new Layout(indices.length, numbersIn(subject), {
      format: FORMAT,
      version: '1',
      ...subject,
      runtime,
    });
    const rows = new Map(indices.map((index, row) => [index, row]));
    const start = Buffer.concat([layout.header, int32s(indices)]);
    if (resume) return new FloatLogitsWriter(openLeft(file, start), layout, rows);
    const partial = PartialFile.start(file);
    partial.write(start, 0);
    partial.grow(layout.end);
    return new FloatLogitsWriter(partial, layout, rows);
  }

  put(index: number, pixels: Uint8Array, logits: Float32Array): void {
    const { layout } = this;
    const row = this.rows.get(index)!;
    const bytes = Buffer.alloc(4 * logits.length);
    logits.forEach((value, i) => bytes.writeFloatLE(value, 4 * i));
    this.file.write(bytes, layout.logits + 4 * layout.numbers * row);
    this.file.write(digestOfPixels(pixels), layout.pixels + DIGEST_BYTES * row);
  }

  /** @throws InputError where another run writes the same file */
  finish(): void {
    this.file.finish();
  }

  /** @param keep whether another run may resume it */
  giveUp(keep: boolean): void {
    this.file.giveUp(keep);
  }
}

function openLeft(file: string, start: Buffer): PartialFile {
  const partial = partialName(file);
  if (!fs.existsSync(partial))
    throw new InputError(`${partial} is not there to be resumed: leave out --resume, or --save-float`);
  const left = PartialFile.fill(file);
  if (left.firstBytes(start.length).equals(start)) return left;
  left.giveUp(true);
  throw new InputError(`${partial} cannot be resumed: it is of another run. Delete it, or leave out --resume`);
}

/** Float logits of a file, in place of the float model. */
export class StoredLogits implements FloatSide {
  private constructor(
    private readonly file: string,
    private readonly handle: number,
    private readonly layout: Layout,
    private readonly rows: ReadonlyMap<number, number>,
    readonly runtime: string,
    readonly sha256: string,
  ) {}

  /** @throws InputError where the file is damaged, or of another model, pre-processing or dataset */
  static open(file: string, subject: FloatSubject): StoredLogits {
    const handle = fs.openSync(file, 'r');
    try {
      const { images, metadata } = readHeader(handle, file);
      for (const key of Object.keys(WHAT) as (keyof FloatSubject)[])
        if (metadata[key] !== subject[key])
          throw new InputError(
            `${file} holds float logits of another ${WHAT[key]}: ${metadata[key]}, here ${subject[key]}. ` +
              `${AGAIN[0]!.toUpperCase()}${AGAIN.slice(1)}`,
          );
      const layout = new Layout(images, numbersIn(subject), metadata);
      if (fs.fstatSync(handle).size !== layout.end) throw new InputError(`${file} is cut off, or damaged: ${AGAIN}`);
      const index = Buffer.alloc(4 * images);
      fs.readSync(handle, index, 0, index.length, layout.index);
      const rows = new Map(Array.from({ length: images }, (_, row) => [index.readInt32LE(4 * row), row]));
      return new StoredLogits(file, handle, layout, rows, `${metadata['runtime']}, kept`, metadata['model']!);
    } catch (error) {
      fs.closeSync(handle);
      throw error;
    }
  }

  run(pixels: Uint8Array, index: number): Promise<Float32Array> {
    const { file, handle, layout } = this;
    const row = this.rows.get(index);
    const digest = Buffer.alloc(DIGEST_BYTES);
    if (row !== undefined) fs.readSync(handle, digest, 0, DIGEST_BYTES, layout.pixels + DIGEST_BYTES * row);
    if (row === undefined || digest.every((byte) => byte === 0))
      throw new InputError(`${file} has no logits of image ${index} of the dataset, counted from 0: ${AGAIN}`);
    if (!digest.equals(digestOfPixels(pixels)))
      throw new InputError(
        `${file} holds logits of another image ${index}: the dataset's content has changed; ${AGAIN}`,
      );
    const bytes = Buffer.alloc(4 * layout.numbers);
    fs.readSync(handle, bytes, 0, bytes.length, layout.logits + 4 * layout.numbers * row);
    return Promise.resolve(Float32Array.from({ length: layout.numbers }, (_, i) => bytes.readFloatLE(4 * i)));
  }

  close(): Promise<void> {
    fs.closeSync(this.handle);
    return Promise.resolve();
  }
}

function readHeader(handle: number, file: string): { images: number; metadata: Record<string, string> } {
  const length = Buffer.alloc(8);
  fs.readSync(handle, length, 0, 8, 0);
  const bytes = Number(length.readBigUInt64LE());
  try {
    if (bytes > MAX_HEADER_BYTES) throw new RangeError('its header is too long');
    const json = Buffer.alloc(bytes);
    fs.readSync(handle, json, 0, bytes, 8);
    const header = JSON.parse(json.toString('utf8')) as {
      __metadata__: Record<string, string>;
      index: { shape: [number] };
    };
    const [images] = header.index.shape;
    if (header.__metadata__['format'] !== FORMAT || !Number.isSafeInteger(images) || images < 0)
      throw new RangeError('it is not of this form');
    return { images, metadata: header.__metadata__ };
  } catch (error) {
    throw new InputError(`${file} is damaged (${(error as Error).message}): ${AGAIN}`, { cause: error });
  }
}

function int32s(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => bytes.writeInt32LE(value, 4 * i));
  return bytes;
}
