/**
 * Parquet files as the Hugging Face Hub has them: a column of images, as bytes or as { bytes, path }, and one of
 * classes. A row group is read at a time.
 */
import { open, stat } from 'node:fs/promises';
import type { AsyncBuffer, FileMetaData, SchemaTree } from 'hyparquet';
import { InputError } from '../../errors.js';
import { requireRegularFile } from '../../regular-file.js';
import { classReader, numberReader } from './classes.js';
import { containersIn } from './source.js';
import type { DatasetContent, DatasetItem, DatasetKind, DatasetOptions, Label, ReadImages, Source } from './source.js';

const NAME = /\.parquet$/i;
const IMAGE_COLUMN = /^(image|img|picture|photo|pixels|jpe?g|png|webp)(_?(bytes|data))?$/i;
/** In the order in which they are preferred. */
const CLASS_COLUMNS = [
  /^fine_labels?$/i,
  /^(label|cls|class|target|category|y)(s|es)?(_?(id|index|idx))?$/i,
  /_labels?$/i,
];
/** Parts of datasets that have their names before the number of the file: `train-00000-of-00014.parquet`. */
const PART = /([a-z]+)-\d+-of-\d+(-[0-9a-f]+)?\.parquet$/i;
/** A row group is held in memory. */
const MAX_GROUP_BYTES = 2 ** 30;

interface Columns {
  readonly image: string;
  readonly classes: string | undefined;
}

interface ParquetFile {
  readonly file: string;
  readonly metadata: FileMetaData;
  readonly columns: Columns;
  /** The item of its first row. */
  readonly first: number;
}

export const parquet: DatasetKind = {
  wanted: '.parquet files with a column of images and one of classes',
  holdsImages: true,

  find(source: Source): Promise<readonly string[] | undefined> {
    const found = containersIn(source, NAME);
    const parts = new Set(found?.map((file) => PART.exec(file)?.[1] ?? ''));
    if (source.isFolder && parts.size > 1)
      throw new InputError(
        `${source.path} holds several parts of a dataset (${[...parts].join(', ')}): give one, as in ` +
          `'${source.path}/${[...parts].find((part) => /^(val|test)/i.test(part)) ?? [...parts][0]}-*.parquet'`,
      );
    return Promise.resolve(found);
  },

  async read(files: readonly string[], options: DatasetOptions): Promise<DatasetContent> {
    const items: DatasetItem[] = [];
    const notices = new Set<string>();
    const opened: ParquetFile[] = [];
    for (const file of files) {
      const metadata = await readMetadata(file);
      const columns = await columnsOf(file, metadata);
      opened.push({ file, metadata, columns, first: items.length });
      const labels = options.classes === 'ignored' ? null : await readLabels(opened.at(-1)!, options, notices);
      const count = Number(metadata.num_rows);
      for (let row = 0; row < count; row++) items.push({ path: `${file}[${row}]`, label: labels?.[row] ?? null });
    }
    return { items, notices: [...notices], read: readerOf(opened) };
  },
};

/** Calls hyparquet, whose errors are of the file. */
async function attempt<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof InputError) throw error;
    const reason = (error as Error).message.split('\n')[0];
    throw new InputError(`${file} is no Parquet file, or a damaged one: ${reason}`, { cause: error });
  }
}

async function bufferOf(file: string): Promise<AsyncBuffer> {
  requireRegularFile(file);
  const { size } = await stat(file);
  return {
    byteLength: size,
    slice(start: number, end = size): Promise<ArrayBuffer> {
      const [from, to] = [start < 0 ? size + start : start, end < 0 ? size + end : end];
      const reading = readRange(file, size, from, to);
      // Of several that are asked for at once, hyparquet waits for one after the other.
      reading.catch(() => undefined);
      return reading;
    },
  };
}

async function readRange(file: string, size: number, from: number, to: number): Promise<ArrayBuffer> {
  if (!(from >= 0 && to >= from && to <= size)) throw new RangeError(`it has no bytes ${from} to ${to}`);
  const handle = await open(file);
  try {
    const bytes = new Uint8Array(to - from);
    let at = 0;
    while (at < bytes.length) {
      const { bytesRead } = await handle.read(bytes, at, bytes.length - at, from + at);
      if (bytesRead === 0) throw new RangeError('it was cut off while it was read');
      at += bytesRead;
    }
    return bytes.buffer;
  } finally {
    await handle.close();
  }
}

async function readMetadata(file: string): Promise<FileMetaData> {
  const { parquetMetadataAsync } = await import('hyparquet');
  return attempt(file, async () => {
    const metadata = await parquetMetadataAsync(await bufferOf(file));
    const inGroups = metadata.row_groups.reduce((sum, group) => sum + Number(group.num_rows), 0);
    if (Number(metadata.num_rows) !== inGroups || !(inGroups < 2 ** 31) || inGroups < 0)
      throw new Error(`it has ${inGroups} rows in its groups, and says ${metadata.num_rows}`);
    return metadata;
  });
}

/** @throws InputError where no column, or several, may be the images */
async function columnsOf(file: string, metadata: FileMetaData): Promise<Columns> {
  const { parquetSchema } = await import('hyparquet');
  const columns = parquetSchema(metadata).children;
  const holders = columns.filter(mayHoldImages);
  const named = holders.filter(({ element }) => IMAGE_COLUMN.test(element.name));
  const [image] = named.length > 0 ? named : holders.length === 1 ? holders : [];
  const names = columns.map(({ element }) => element.name);
  if (image === undefined) throw new InputError(`${file} has no column of images: its columns are ${names.join(', ')}`);
  const classes = CLASS_COLUMNS.map((pattern) => names.find((name) => pattern.test(name))).find(Boolean);
  return { image: image.element.name, classes };
}

/** Bytes, or a group of bytes and path as `datasets.Image` writes it. */
function mayHoldImages({ element, children }: SchemaTree): boolean {
  const isBytes = ({ type, converted_type: converted }: SchemaTree['element']) =>
    type === 'BYTE_ARRAY' && converted !== 'UTF8' && converted !== 'JSON';
  if (children.length === 0) return isBytes(element);
  return children.some((child) => child.element.name === 'bytes' && isBytes(child.element));
}

async function readLabels(
  { file, metadata, columns: { classes } }: ParquetFile,
  options: DatasetOptions,
  notices: Set<string>,
): Promise<(Label | null)[] | null> {
  if (classes === undefined) {
    if (options.classes === 'optional') return null;
    throw new InputError(`${file} has no column of classes (label, labels, class, fine_label, …)`);
  }
  const { parquetReadObjects } = await import('hyparquet');
  const { compressors } = await import('hyparquet-compressors');
  const cells = await attempt(file, async () =>
    (await parquetReadObjects({ file: await bufferOf(file), metadata, columns: [classes], compressors })).map(
      (row) => row[classes] as unknown,
    ),
  );
  const numbers = numberReader(namesOf(metadata, classes), options, `column ${classes} of ${file}`);
  numbers.notices.forEach((notice) => notices.add(notice));
  const texts = classReader(options);
  const one = (cell: unknown, where: string): number =>
    typeof cell === 'string' ? texts(cell.trim(), where) : numbers.read(Number(cell), where);
  return cells.map((cell, row) => {
    const where = `${file}[${row}]`;
    // What the Hub writes for unlabelled images is −1.
    if (cell === null || cell === undefined || Number(cell) === -1) return null;
    return Array.isArray(cell) ? cell.map((part) => one(part, where)) : one(cell, where);
  });
}

/** The names of the classes that the `datasets` library wrote into the file. */
function namesOf(metadata: FileMetaData, column: string): string[] | undefined {
  const written = metadata.key_value_metadata?.find(({ key }) => key === 'huggingface')?.value;
  try {
    const { info } = JSON.parse(written ?? '{}') as { info?: { features?: Record<string, Feature> } };
    const feature = info?.features?.[column];
    const names = feature?.names ?? feature?.feature?.names;
    return Array.isArray(names) && names.every((name) => typeof name === 'string') ? names : undefined;
  } catch {
    return undefined;
  }
}

interface Feature {
  readonly names?: unknown;
  /** Of lists. */
  readonly feature?: { readonly names?: unknown };
}

function readerOf(files: readonly ParquetFile[]): ReadImages {
  return async function* (indices) {
    const groups = files.flatMap(groupsOf);
    let at = 0;
    for (const group of groups) {
      const wanted: number[] = [];
      for (; at < indices.length && indices[at]! < group.end; at++) wanted.push(indices[at]!);
      if (wanted.length > 0) yield* imagesIn(group, wanted);
    }
  };
}

/** A row group: its items, from `start` to before `end`. */
interface Group {
  readonly of: ParquetFile;
  readonly bytes: number;
  readonly start: number;
  readonly end: number;
}

function groupsOf(of: ParquetFile): Group[] {
  let start = of.first;
  return of.metadata.row_groups.map((group) => {
    const columns = group.columns.filter((one) => one.meta_data?.path_in_schema[0] === of.columns.image);
    const bytes = columns.reduce((sum, one) => sum + Number(one.meta_data?.total_uncompressed_size ?? 0), 0);
    const end = start + Number(group.num_rows);
    const found = { of, bytes, start, end };
    start = end;
    return found;
  });
}

async function* imagesIn({ of, bytes }: Group, wanted: readonly number[]): AsyncGenerator<Uint8Array | InputError> {
  const { file, metadata, columns, first } = of;
  if (bytes > MAX_GROUP_BYTES)
    throw new InputError(
      `${file} has ${bytes} bytes of images in one row group, which is read as a whole: write it again with smaller ` +
        'row groups (of 100 to 1000 images)',
    );
  const { parquetReadObjects } = await import('hyparquet');
  const { compressors } = await import('hyparquet-compressors');
  const rowStart = wanted[0]! - first;
  const rows = await attempt(file, async () =>
    parquetReadObjects({
      file: await bufferOf(file),
      metadata,
      columns: [columns.image],
      rowStart,
      rowEnd: wanted.at(-1)! - first + 1,
      compressors,
      utf8: false,
    }),
  );
  for (const index of wanted) {
    const cell = rows[index - first - rowStart]?.[columns.image] as unknown;
    const image = cell instanceof Uint8Array ? cell : (cell as { bytes?: unknown } | null | undefined)?.bytes;
    yield image instanceof Uint8Array ? image : new InputError(`${file}[${index - first}] holds no bytes of an image`);
  }
}
