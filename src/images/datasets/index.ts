/** Finds images: to calibrate on, and, with their classes, to evaluate on. */
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { InputError } from '../../errors.js';
import { labelIndex } from '../labels.js';

/** Extensions taken for images; a file whose format proves unknown is then skipped by name, not overlooked. */
const IMAGE = /\.(jpe?g|jpe|jfif|png|webp|tiff?|gif|avif|bmp|ppm)$/i;
const LABEL_FILES = ['labels.txt', 'val.txt', 'labels.csv'] as const;

export interface DatasetItem {
  /** Path of the image, ready to open. */
  readonly path: string;
  /** Index of its class. */
  readonly label: number;
}

export interface Dataset {
  readonly kind: 'class folders' | 'label file';
  /** In the order of the file, or of the sorted paths. */
  readonly items: readonly DatasetItem[];
  /** The class folders' names, in the order of their class index. */
  readonly classes?: readonly string[];
  /** What was assumed, for the user to read. */
  readonly notices: readonly string[];
}

export interface DatasetOptions {
  /** The model's labels, to find classes by name. */
  readonly labels?: readonly string[];
  /** How many classes the model has: no class index may reach it. */
  readonly classCount?: number;
}

/**
 * The images of a folder and all its subfolders in path order, those that a text file lists (one path per line, relative to
 * the file; a class after the path is ignored), or the one that `source` is.
 *
 * @throws InputError when there is nothing
 */
export async function listImages(source: string): Promise<string[]> {
  if (await isFolder(source)) {
    const images = await imagesBelow(source);
    if (images.length === 0) throw new InputError(`No image in ${source} or its subfolders`);
    return images;
  }
  if (IMAGE.test(source)) return [source];
  const listed: string[] = [];
  for (const { text, line } of await readLines(source)) {
    listed.push(await listedImage(text, `${source}, line ${line}`, path.dirname(source)));
  }
  if (listed.length === 0) throw new InputError(`The list ${source} names no image`);
  return listed;
}

/**
 * Opens a dataset with classes: a folder with `labels.txt`, `val.txt` or `labels.csv` (lines of path and class, split by
 * space, comma or tab, the class an index or one of the labels), such a file itself, or a folder with one folder per class.
 * Class folders stand for the labels they name, all of them; else, if all names are numbers, for these indices; else for
 * 0, 1, … in the order of their names.
 *
 * @throws InputError for a folder that is neither, an empty dataset, or a class that the model does not have
 */
export async function openDataset(source: string, options: DatasetOptions = {}): Promise<Dataset> {
  const dataset = await findDataset(source, options);
  if (dataset.items.length === 0) throw new InputError(`The dataset ${source} has no images`);
  return dataset;
}

async function findDataset(source: string, options: DatasetOptions): Promise<Dataset> {
  if (!(await isFolder(source))) return readLabelFile(source, options);
  const entries = await readdir(source, { withFileTypes: true });
  const names = new Set(entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name));
  const labelFile = LABEL_FILES.find((name) => names.has(name));
  if (labelFile) return readLabelFile(path.join(source, labelFile), options);
  const folders = await classFolders(source);
  if (folders.length > 0) return readClassFolders(source, folders, options);
  throw new InputError(`${source} is not a dataset: it has neither class folders nor one of ${LABEL_FILES.join(', ')}`);
}

// ---- class folders ----

async function readClassFolders(source: string, folders: readonly string[], options: DatasetOptions): Promise<Dataset> {
  const { indices, notices } = classOfFolders(source, folders, options);
  const items: DatasetItem[] = [];
  for (const [i, folder] of folders.entries()) {
    for (const image of await imagesBelow(path.join(source, folder))) items.push({ path: image, label: indices[i]! });
  }
  const classes = folders.map((name, i) => ({ name, index: indices[i]! })).sort((a, b) => a.index - b.index);
  return { kind: 'class folders', items, classes: classes.map(({ name }) => name), notices };
}

function classOfFolders(
  source: string,
  folders: readonly string[],
  { labels, classCount = labels?.length }: DatasetOptions,
): { indices: number[]; notices: string[] } {
  const byLabel = folders.map(labelIndex(labels ?? []));
  const missing = byLabel.indexOf(undefined);
  if (missing < 0) {
    const twice = byLabel.findIndex((index, i) => byLabel.indexOf(index) !== i);
    if (twice < 0) return { indices: byLabel as number[], notices: [] };
    throw new InputError(
      `${source}: two class folders, one of them ${folders[twice]}, stand for the label ${labels![byLabel[twice]!]}`,
    );
  }
  const matched = byLabel.filter((index) => index !== undefined).length;
  if (matched > 0) {
    throw new InputError(
      `${source}: ${matched} of ${folders.length} class folders name one of the model's labels, but ${folders[missing]} does not (or names several)`,
    );
  }
  if (folders.every((name) => /^\d+$/.test(name)) && new Set(folders.map(Number)).size === folders.length) {
    const indices = folders.map(Number);
    const beyond = indices.findIndex((index) => classCount !== undefined && index >= classCount);
    if (beyond >= 0)
      throw new InputError(
        `${source}: class folder ${folders[beyond]}, but the model has ${classCount} classes, numbered from 0`,
      );
    const isNameOrder = indices.every((index, i) => index === i);
    return { indices, notices: isNameOrder ? [] : ['Class folders with numbers for names: taken as class indices.'] };
  }
  if (classCount !== undefined && folders.length > classCount) {
    throw new InputError(`${source} has ${folders.length} class folders, but the model has ${classCount} classes`);
  }
  const notices =
    classCount !== undefined && folders.length < classCount
      ? [
          `${folders.length} class folders, in name order, are taken as the first of the model's ${classCount} classes; give the model labels to match them by name.`,
        ]
      : [];
  return { indices: folders.map((_, i) => i), notices };
}

async function classFolders(source: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await readdir(source, { withFileTypes: true })) {
    if (entry.name.startsWith('.')) continue;
    const target = await stat(path.join(source, entry.name)).catch(() => undefined);
    if (target?.isDirectory()) names.push(entry.name);
  }
  return names.sort(byCodeUnits);
}

// ---- label files ----

async function readLabelFile(file: string, options: DatasetOptions): Promise<Dataset> {
  const { labels, classCount = labels?.length } = options;
  const classOf = labelIndex(labels ?? []);
  const isCsv = /\.csv$/i.test(file);
  const folder = path.dirname(file);
  const items: DatasetItem[] = [];
  let columns = { path: 0, label: 1 };
  for (const { text, line } of await readLines(file)) {
    const where = `${file}, line ${line}`;
    const fields = isCsv ? splitCsv(text) : [];
    if (isCsv && items.length === 0) {
      const header = csvHeader(fields);
      if (header) {
        columns = header;
        continue;
      }
    }
    const entry = isCsv
      ? { path: fields[columns.path], label: fields[columns.label] }
      : splitLine(text, (name) => classOf(name) !== undefined);
    if (!entry.path || !entry.label)
      throw new InputError(`${where}: expected an image's path and its class, found: ${text}`);
    const label = /^\d+$/.test(entry.label) ? Number(entry.label) : classOf(entry.label);
    if (label === undefined) {
      const known = labels ? "one of the model's labels" : 'known, as the model has no labels';
      throw new InputError(`${where}: class ${entry.label} is neither an index nor ${known}`);
    }
    if (classCount !== undefined && label >= classCount) {
      throw new InputError(`${where}: class index ${label}, but the model has ${classCount} classes, numbered from 0`);
    }
    items.push({ path: within(folder, entry.path), label });
  }
  return { kind: 'label file', items, notices: [] };
}

/** Path and class of a line without quotes. Either may hold spaces: an index is the last word, a label is looked up. */
function splitLine(text: string, isLabel: (name: string) => boolean): { path: string; label: string } {
  const numbered = /^(.*[^\s,])[\s,]+(\d+)$/.exec(text);
  if (numbered) return { path: numbered[1]!, label: numbered[2]! };
  const splits = splitsOf(text);
  return splits.find(({ label }) => isLabel(label)) ?? splits.at(-1) ?? { path: text, label: '' };
}

/** All ways to split a line in two at a space, comma or tab. */
function splitsOf(text: string): { path: string; label: string }[] {
  return [...text.matchAll(/[\s,]+/g)].map(({ 0: separator, index }) => ({
    path: text.slice(0, index),
    label: text.slice(index + separator.length),
  }));
}

/** The fields of a line of comma-separated values; quotes protect commas, and are doubled to mean themselves. */
function splitCsv(text: string): string[] {
  const fields = text.match(/(?<=^|,)(?:\s*"(?:[^"]|"")*"\s*|[^,]*)/g) ?? [];
  return fields.map((field) => {
    const trimmed = field.trim();
    return /^".*"$/.test(trimmed) ? trimmed.slice(1, -1).replaceAll('""', '"') : trimmed;
  });
}

/** Which columns hold path and class, when the fields are a header's. */
function csvHeader(fields: readonly string[]): { path: number; label: number } | undefined {
  const column = (names: RegExp) => fields.findIndex((field) => names.test(field));
  const file = column(/^(image_?|file_?)?(path|name|file|image)$/i);
  const label = column(/^(class|label|target|category)(_?(id|index|idx|name))?$/i);
  return file >= 0 && label >= 0 ? { path: file, label } : undefined;
}

/** The lines of a text file that hold anything, trimmed, with their numbers from 1. */
async function readLines(file: string): Promise<{ text: string; line: number }[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new InputError(`Cannot read ${file}: ${error.message}`, { cause: error });
  });
  if (text.includes('\0')) throw new InputError(`${file} is neither a folder nor a text file`);
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  return lines.map((content, i) => ({ text: content.trim(), line: i + 1 })).filter((one) => one.text !== '');
}

// ---- lists of images ----

/** The image that a line names: the whole line, or what is left of it once a class is taken off its end. */
async function listedImage(text: string, where: string, folder: string): Promise<string> {
  const candidates = [
    text,
    ...splitsOf(text)
      .map((split) => split.path)
      .reverse(),
  ];
  for (const candidate of candidates) {
    const file = within(folder, candidate);
    if (await exists(file)) return file;
  }
  throw new InputError(`${where}: no such image: ${text}`);
}

function within(folder: string, file: string): string {
  return path.isAbsolute(file) ? file : path.join(folder, file);
}

/** All images below a folder, in the order of their paths; hidden folders and files are left out. */
async function imagesBelow(folder: string): Promise<string[]> {
  const images: string[] = [];
  for (const entry of (await readdir(folder, { withFileTypes: true })).sort((a, b) => byCodeUnits(a.name, b.name))) {
    const file = path.join(folder, entry.name);
    if (entry.name.startsWith('.')) continue;
    if (entry.isDirectory()) images.push(...(await imagesBelow(file)));
    else if (IMAGE.test(entry.name)) images.push(file);
  }
  return images;
}

/** The same order on every machine, and Python's for all but rare characters; never the locale's. */
function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}

async function isFolder(source: string): Promise<boolean> {
  const info = await stat(source).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR')
      throw new InputError(`No such file or folder: ${source}`, { cause: error });
    throw new InputError(`Cannot open ${source}: ${error.message}`, { cause: error });
  });
  return info.isDirectory();
}
