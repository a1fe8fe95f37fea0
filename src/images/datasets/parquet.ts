/**
 * Parquet files as the Hugging Face Hub has them: a column of images, as bytes or as { bytes, path }, and one of
 * classes. A row group is read at a time.
 */
import { InputError } from '../../errors.js';
import { classReader, numberReader } from './classes.js';
import { ParquetProcess, type ParquetSummary } from './parquet-process.js';
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
  readonly summary: ParquetSummary;
  readonly columns: Columns;
  /** The item of its first row. */
  readonly first: number;
}

const reader = new ParquetProcess();

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
      const summary = await reader.open(file);
      opened.push({ file, summary, columns: columnsOf(file, summary, notices), first: items.length });
      const labels = options.classes === 'ignored' ? null : await readLabels(opened.at(-1)!, options, notices);
      const count = rowsIn(summary);
      for (let row = 0; row < count; row++) items.push({ path: `${file}[${row}]`, label: labels?.[row] ?? null });
    }
    return { items, notices: [...notices], read: readerOf(opened) };
  },
};

function rowsIn({ groups }: ParquetSummary): number {
  return groups.reduce((sum, { rows }) => sum + rows, 0);
}

/** @throws InputError where no column, or several, may be the images */
function columnsOf(file: string, summary: ParquetSummary, notices: Set<string>): Columns {
  const holders = summary.columns.filter(({ mayHoldImages }) => mayHoldImages);
  const named = holders.filter(({ name }) => IMAGE_COLUMN.test(name));
  const [image, ...others] = named.length > 0 ? named : holders.length === 1 ? holders : [];
  const names = summary.columns.map(({ name }) => name);
  if (image === undefined && holders.length > 1) {
    const choice = holders.map(({ name }) => name).join(', ');
    throw new InputError(`${file} has several columns that may be the images: ${choice}; call one image`);
  }
  if (image === undefined) throw new InputError(`${file} has no column of images: its columns are ${names.join(', ')}`);
  if (others.length > 0)
    notices.add(
      `WARNING: columns ${named.map(({ name }) => name).join(', ')} are all called as images are: ${image.name} is ` +
        'taken; rename it where another is meant',
    );
  const classes = CLASS_COLUMNS.map((pattern) => names.find((name) => pattern.test(name))).find(Boolean);
  return { image: image.name, classes };
}

async function readLabels(
  { file, summary, columns: { classes } }: ParquetFile,
  options: DatasetOptions,
  notices: Set<string>,
): Promise<(Label | null)[] | null> {
  if (classes === undefined) {
    if (options.classes === 'optional') return null;
    throw new InputError(`${file} has no column of classes (label, labels, class, fine_label, …)`);
  }
  const cells: unknown[] = [];
  for (const { rows, bytes } of summary.groups) {
    const [from, to] = [cells.length, cells.length + rows];
    const group = await reader.values(file, { column: classes, from, to, bytes: bytes[classes] ?? 0 });
    for (let row = 0; row < rows; row++) cells.push(group[row]);
  }
  const numbers = numberReader(namesOf(summary, classes), options, `column ${classes} of ${file}`);
  numbers.notices.forEach((notice) => notices.add(notice));
  const texts = classReader(options);
  const one = (cell: unknown, where: string): number => {
    if (typeof cell === 'string') return texts(cell.trim(), where);
    if (!/^(number|bigint|boolean)$/.test(typeof cell))
      throw new InputError(`${where}: its class is neither number nor text`);
    return numbers.read(Number(cell), where);
  };
  if (areMarks(cells, options.classCount)) {
    notices.add(`Column ${classes} of ${file} has a mark for each class, in the model's order.`);
    return (cells as unknown[][]).map((marks) => marks.flatMap((mark, index) => (Number(mark) === 1 ? [index] : [])));
  }
  return cells.map((cell, row) => {
    const where = `${file}[${row}]`;
    if (isMissing(cell)) return null;
    return Array.isArray(cell) ? cell.map((part) => one(part, where)) : one(cell, where);
  });
}

/** What the Hub writes for unlabelled images is −1; what pandas writes for a number that is not there is NaN. */
const isMissing = (cell: unknown): boolean =>
  cell === null || cell === undefined || cell === '' || Number(cell) === -1 || Number.isNaN(cell);

/** Whether all cells are lists of 0 and 1 (or of truth values), one of each class. */
function areMarks(cells: readonly unknown[], classCount: number | undefined): boolean {
  const isMark = (part: unknown) => part !== null && (Number(part) === 0 || Number(part) === 1);
  return (
    classCount !== undefined &&
    classCount > 2 &&
    cells.length > 0 &&
    cells.every((cell) => Array.isArray(cell) && cell.length === classCount && cell.every(isMark))
  );
}

/** The names of the classes that the `datasets` library wrote into the file. */
function namesOf({ huggingFace }: ParquetSummary, column: string): string[] | undefined {
  try {
    const { info } = JSON.parse(huggingFace ?? '{}') as { info?: { features?: Record<string, Feature> } };
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
  return of.summary.groups.map(({ rows, bytes }) => {
    const end = start + rows;
    const found = { of, bytes: bytes[of.columns.image] ?? 0, start, end };
    start = end;
    return found;
  });
}

async function* imagesIn({ of, bytes }: Group, wanted: readonly number[]): AsyncGenerator<Uint8Array | InputError> {
  const { file, columns, first } = of;
  if (bytes > MAX_GROUP_BYTES)
    throw new InputError(
      `${file} has ${bytes} bytes of images in one row group, which is read as a whole: write it again with smaller ` +
        'row groups (of 100 to 1000 images)',
    );
  const from = wanted[0]! - first;
  const images = await reader.images(file, { column: columns.image, from, to: wanted.at(-1)! - first + 1, bytes });
  for (const index of wanted)
    yield (
      images[index - first - from] ??
      new InputError(`${file}[${index - first}] holds no bytes of an image (a path is not followed)`)
    );
}
