/**
 * A table of images and classes: CSV, TSV or JSON lines, as of Kaggle, of Hugging Face's imagefolder (`metadata.csv`)
 * and of Tiny-ImageNet (`val_annotations.txt`). Classes stand in a column, several of an image as a list (`3;7`,
 * `[3, 7]`), or in one column each, of which those that the image shows hold 1.
 */
import path from 'node:path';
import { InputError } from '../../errors.js';
import { readTable } from '../table.js';
import type { TableRow } from '../table.js';
import { labelIndex } from '../labels.js';
import { classReader, listedClasses } from './classes.js';
import { ImageFinder, isImageName, within } from './files.js';
import type { DatasetContent, DatasetItem, DatasetKind, DatasetOptions, Label, Source } from './source.js';

const NAMES = /^(labels\.(csv|tsv)|metadata\.(csv|tsv|jsonl)|val_annotations\.txt)$/i;
const TABLE = /\.(csv|tsv|jsonl|ndjson)$|(^|[\\/])val_annotations\.txt$/i;
const IMAGE_COLUMN = /^((image|img|file|photo|picture)[ _-]?)?(path|name|file|id|image|img|filename|filepath|uuid)s?$/i;
const CLASS_COLUMN =
  /^(class|label|target|category|breed|species|truth|y|prediction)(es|s)?([ _-]?(id|index|idx|name|string))?$/i;
/** Rows that are looked at to tell the columns apart. */
const PROBED = 10;

export const tableFile: DatasetKind = {
  wanted: 'labels.csv, metadata.csv, metadata.jsonl, labels.tsv, val_annotations.txt',

  find(source: Source): Promise<readonly string[] | undefined> {
    if (!source.isFolder) return Promise.resolve(TABLE.test(source.path) ? source.paths : undefined);
    const name = source.files.find((file) => NAMES.test(file));
    return Promise.resolve(name === undefined ? undefined : [path.join(source.path, name)]);
  },

  read: readTableFile,
};

/** A table of another name that lists images and classes, where a folder has just one. */
export const otherTable: DatasetKind = {
  wanted: 'another .csv, .tsv or .jsonl of images and classes',

  async find(source: Source): Promise<readonly string[] | undefined> {
    const found: string[] = [];
    for (const name of source.files.filter((file) => TABLE.test(file))) {
      const file = path.join(source.path, name);
      if (await listsImages(file)) found.push(file);
    }
    if (found.length > 1)
      throw new InputError(`${source.path} has several tables of images, ${found.join(', ')}: give one as --dataset`);
    return found.length === 1 ? found : undefined;
  },

  async read([file]: readonly [string], options: DatasetOptions): Promise<DatasetContent> {
    const content = await readTableFile([file], options);
    return { ...content, notices: [`Images and classes are those of ${file}.`, ...content.notices] };
  },
};

async function listsImages(file: string): Promise<boolean> {
  const rows = await readTable(file).catch(() => []);
  const finder = new ImageFinder(path.dirname(file));
  const columns = await columnsOf(rows, finder).catch(() => undefined);
  return columns !== undefined && (await finder.find(columns.rows[0]?.fields[columns.image] ?? '')) !== undefined;
}

async function readTableFile([file]: readonly [string], options: DatasetOptions): Promise<DatasetContent> {
  const finder = new ImageFinder(path.dirname(file));
  const table = await readTable(file);
  if (table.length === 0) return { items: [], notices: [] };
  const columns = await columnsOf(table, finder);
  if (columns === undefined) {
    throw new InputError(
      `${file}, line ${table[0].line}: expected an image's path and its class, found: ${table[0].fields.join(', ')}`,
    );
  }
  const { image, rows } = columns;
  const { read, notices } = columns.oneHot
    ? oneHotReader(columns.oneHot, options, file)
    : cellReader(columns.class, options);
  const items: DatasetItem[] = [];
  for (const row of rows) {
    const where = `${file}, line ${row.line}`;
    const name = row.fields[image];
    if (!name)
      throw new InputError(`${where}: expected an image's path and its class, found: ${row.fields.join(', ')}`);
    const label = read(row, where);
    items.push({ path: (await finder.find(name)) ?? within(path.dirname(file), name), label });
  }
  return { items, notices };
}

interface ClassColumn {
  readonly index: number;
  readonly name: string;
}

interface Columns {
  readonly image: number;
  readonly class: number;
  /** One column a class, each with its class's name. */
  readonly oneHot?: readonly ClassColumn[];
  /** The rows below the header. */
  readonly rows: readonly TableRow[];
}

/** Which columns hold what: by the header, else by what stands in them. */
async function columnsOf(table: readonly TableRow[], finder: ImageFinder): Promise<Columns | undefined> {
  const [first, ...rest] = table;
  if (first === undefined || first.fields.length < 2) return undefined;
  const named = first.fields.findIndex((field) => IMAGE_COLUMN.test(field));
  const withoutHeader = named >= 0 ? -1 : await imageColumn(table.slice(0, PROBED), finder);
  if (withoutHeader >= 0) return { image: withoutHeader, class: withoutHeader === 0 ? 1 : 0, rows: table };
  const byContent = await imageColumn(rest.slice(0, PROBED), finder);
  const image = byContent >= 0 ? byContent : named;
  const others = first.fields.map((name, index) => ({ name, index })).filter(({ index }) => index !== image);
  const isHeader = named >= 0 || byContent >= 0;
  if (!isHeader) return headerless(table);
  const called = others.find(({ name }) => CLASS_COLUMN.test(name));
  if (called === undefined && areOneHot(others, rest)) return { image, class: -1, oneHot: others, rows: rest };
  const classes = called ?? (others.length === 1 ? others[0] : undefined);
  return classes && { image, class: classes.index, rows: rest };
}

/** Path and class, in this order, of files that are not there: the message about them comes when they are read. */
function headerless(table: readonly TableRow[]): Columns | undefined {
  return table[0].fields.length === 2 ? { image: 0, class: 1, rows: table } : undefined;
}

/** The first column in which images are named: by extension, else because they are there; −1 where there is none. */
async function imageColumn(rows: readonly TableRow[], finder: ImageFinder): Promise<number> {
  if (rows.length === 0) return -1;
  const byExtension = rows[0].fields.findIndex((_, i) => rows.every(({ fields }) => isImageName(fields[i] ?? '')));
  if (byExtension >= 0) return byExtension;
  for (const i of rows[0].fields.keys()) {
    const found = await Promise.all(rows.map(({ fields }) => finder.find(fields[i] || '.')));
    if (found.every((file) => file !== undefined)) return i;
  }
  return -1;
}

/** Several columns of 0 and 1, of which the rows mark at least one. */
function areOneHot(columns: readonly ClassColumn[], rows: readonly TableRow[]): boolean {
  if (columns.length < 2 || rows.length === 0) return false;
  const probed = rows.slice(0, PROBED);
  return (
    probed.every(({ fields }) => columns.every(({ index }) => MARK.test(fields[index] ?? ''))) &&
    probed.some(({ fields }) => columns.some(({ index }) => isMarked(fields[index]!)))
  );
}

/** 0 and 1 as numbers or as truth values. */
const MARK = /^([01](\.0*)?|true|false)$/i;

function isMarked(field: string): boolean {
  return Number(field) === 1 || /^true$/i.test(field);
}

interface Reader {
  readonly read: (row: TableRow, where: string) => Label;
  readonly notices: readonly string[];
}

function cellReader(column: number, options: DatasetOptions): Reader {
  const readClass = classReader(options);
  const classOf = labelIndex(options.labels ?? []);
  const read = ({ fields }: TableRow, where: string) => {
    const text = fields[column];
    if (!text) throw new InputError(`${where}: expected an image's path and its class, found: ${fields.join(', ')}`);
    // ImageNet's localization table has boxes behind the class.
    const boxed = /^(\S+)( \d+){4}/.exec(text);
    const list = boxed === null && classOf(text) === undefined ? listedClasses(text) : null;
    return list === null ? readClass(boxed?.[1] ?? text, where) : list.map((one) => readClass(one, where));
  };
  return { read, notices: [] };
}

function oneHotReader(columns: readonly ClassColumn[], options: DatasetOptions, file: string): Reader {
  const { labels, classCount = labels?.length } = options;
  const readClass = classReader(options);
  if (labels === undefined && classCount !== undefined && columns.length !== classCount) {
    throw new InputError(
      `${file} has ${columns.length} class columns, but the model has ${classCount} classes and no labels to ` +
        'match them by',
    );
  }
  const indices = columns.map(({ name }, i) => (labels === undefined ? i : readClass(name, `${file}, header`)));
  const read = ({ fields }: TableRow) => {
    const marked = columns.flatMap(({ index }, i) => (isMarked(fields[index] ?? '') ? [indices[i]] : []));
    return marked.length === 1 ? marked[0] : marked;
  };
  const notices = labels === undefined ? [`The class columns of ${file} are taken in their order.`] : [];
  return { read, notices };
}
