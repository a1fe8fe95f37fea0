/** CIFAR-10 and CIFAR-100 in their binary form: records of a class and 32×32 pixels, red plane first. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { InputError } from '../../errors.js';
import { openBytes } from './bytes.js';
import { numberReader } from './classes.js';
import { isFile } from './files.js';
import { readLines } from './lines.js';
import { containersIn } from './source.js';
import type { DatasetContent, DatasetItem, DatasetKind, DatasetOptions, ReadImages, Source } from './source.js';

const EDGE = 32;
const PLANE = EDGE * EDGE;
const PIXELS = 3 * PLANE;
const NAME = /(^|[\\/])(data_batch_\d+|test_batch|train|test)\.bin$/i;

/** How many bytes stand before the pixels: CIFAR-100 has the superclass before the class. */
const FORMS = [
  { classes: 10, header: 1, names: 'batches.meta.txt', test: /test_batch\.bin$/i, all: /_batch/i },
  { classes: 100, header: 2, names: 'fine_label_names.txt', test: /(^|[\\/])test\.bin$/i, all: /(train|test)\.bin$/i },
] as const;
type Form = (typeof FORMS)[number];

export const cifar: DatasetKind = {
  wanted: 'test_batch.bin or test.bin (CIFAR-10 and CIFAR-100, binary)',
  holdsImages: true,

  find(source: Source, options: DatasetOptions): Promise<readonly string[] | undefined> {
    const found = containersIn(source, NAME);
    if (found === undefined || !source.isFolder) return Promise.resolve(found);
    // Of a folder's files, calibration takes those of training.
    const isTest = (file: string) => FORMS.some(({ test }) => test.test(file));
    const wanted = found.filter((file) => isTest(file) === (options.classes !== 'ignored'));
    return Promise.resolve(wanted.length > 0 ? wanted : found);
  },

  async read(files: readonly string[], options: DatasetOptions): Promise<DatasetContent> {
    const items: DatasetItem[] = [];
    const starts: number[] = [];
    const form = formOf(files[0]!);
    const names = await namesOf(path.join(path.dirname(files[0]!), form.names));
    const { read, notices } = numberReader(names, options, files[0]!);
    for (const file of files) {
      starts.push(items.length);
      for (const [i, label] of (await classesIn(file, form)).entries()) {
        const where = `${file}[${i}]`;
        items.push({ path: where, label: options.classes === 'ignored' ? null : read(label, where) });
      }
    }
    return { items, notices, read: reader(files, starts, form) };
  },
};

function formOf(file: string): Form {
  return FORMS.find(({ all }) => all.test(path.basename(file)))!;
}

async function namesOf(file: string): Promise<string[] | undefined> {
  return (await isFile(file)) ? (await readLines(file)).map(({ text }) => text) : undefined;
}

/** @throws InputError where the file is no whole number of records, or a class is out of range */
async function classesIn(file: string, { header, classes }: Form): Promise<number[]> {
  const record = header + PIXELS;
  const { size } = await stat(file);
  if (size === 0 || size % record !== 0)
    throw new InputError(
      `${file} is cut off, or no file of CIFAR-${classes}: its ${size} bytes are no multiple of ${record}`,
    );
  const bytes = await openBytes(file);
  try {
    const found: number[] = [];
    for (let at = 0; at < size; at += record) {
      await bytes.skip(at - bytes.position);
      const label = (await bytes.read(header)).at(-1)!;
      if (label >= classes)
        throw new InputError(`${file}[${found.length}]: class ${label}, but CIFAR-${classes} has ${classes} classes`);
      found.push(label);
    }
    return found;
  } finally {
    await bytes.close();
  }
}

function reader(files: readonly string[], starts: readonly number[], { header }: Form): ReadImages {
  return async function* (indices) {
    let opened: { readonly file: string; readonly bytes: Awaited<ReturnType<typeof openBytes>> } | undefined;
    try {
      for (const index of indices) {
        const part = starts.findLastIndex((start) => start <= index);
        if (opened?.file !== files[part]) {
          await opened?.bytes.close();
          opened = { file: files[part]!, bytes: await openBytes(files[part]!) };
        }
        const start = (index - starts[part]!) * (header + PIXELS) + header;
        await opened.bytes.skip(start - opened.bytes.position);
        const planes = await opened.bytes.read(PIXELS);
        if (planes.length < PIXELS) throw new InputError(`${opened.file} was changed while it was read`);
        yield { data: interleaved(planes), width: EDGE, height: EDGE };
      }
    } finally {
      await opened?.bytes.close();
    }
  };
}

/** Planes of red, green and blue as pixels: [3, 32, 32] → [32, 32, 3]. */
function interleaved(planes: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: PIXELS }, (_, i) => planes[(i % 3) * PLANE + Math.floor(i / 3)]!);
}
