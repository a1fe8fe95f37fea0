/**
 * Finds images: to calibrate on, and, with their classes, to evaluate on. A kind of dataset is one file and one line
 * here.
 */
import { InputError, withCode } from '../../errors.js';
import { cifar } from './cifar.js';
import { areLabels, classFolders } from './class-folders.js';
import { idx } from './idx.js';
import { isFile, isImageName } from './files.js';
import { imagenet } from './imagenet.js';
import { labelFile } from './label-file.js';
import { listImages } from './list.js';
import { parquet } from './parquet.js';
import { openSource } from './source.js';
import type { DatasetContent, DatasetItem, DatasetKind, DatasetOptions, Source } from './source.js';
import { otherTable, tableFile } from './table-file.js';
import { UnreadImages } from './unread.js';
import { webDataset } from './web-dataset.js';

export { isImageName };
export { listImages } from './list.js';
export { UnreadImages } from './unread.js';
export type { DatasetItem, DatasetOptions, StoredImage } from './source.js';

/** Asked in this order whether a source is theirs. */
const KINDS = {
  table: tableFile,
  'WebDataset archives': webDataset,
  'Parquet files': parquet,
  'IDX files': idx,
  'CIFAR files': cifar,
  ImageNet: imagenet,
  'label file': labelFile,
  'other table': otherTable,
  'class folders': classFolders,
} satisfies Record<string, DatasetKind>;

export interface Dataset extends DatasetContent {
  readonly kind: keyof typeof KINDS | 'images';
}

/**
 * Opens a dataset: a folder of class folders, a folder with a file that lists images and classes, such a file itself,
 * or files that hold images and classes. The classes are indices or the model's labels; each kind's own file says more.
 * Where `options.classes` lets be, images without classes are a dataset too; no item has a label then.
 *
 * @throws InputError for a source of no kind, an empty dataset, or a class that the model does not have
 */
export async function openDataset(source: string, options: DatasetOptions = {}): Promise<Dataset> {
  return withCode('BAD_DATASET', open(source, options));
}

async function open(source: string, options: DatasetOptions): Promise<Dataset> {
  const { classes = 'required' } = options;
  if (classes === 'required' && isImageName(source) && (await isFile(source)))
    throw new InputError(`${source} is an image: give a folder of images per class, or a list of images and classes`);
  const opened = await openSource(source);
  const found = await kindOf(opened, options);
  if (found === null) {
    if (classes !== 'required') return imagesAlone(source);
    const wanted = Object.values(KINDS).map((kind) => kind.wanted);
    // What most have stands last, as it is asked last.
    throw new InputError(
      `${source} is not a dataset: it has none of ${wanted.reverse().join(', ')}. Images without ` +
        'classes are for --float',
    );
  }
  const dataset = { kind: found.kind, ...(await KINDS[found.kind].read(found.found, options)) };
  if (dataset.items.length === 0) {
    const left = dataset.unread?.notice(source) ?? null;
    const which = left === null ? [] : [`that can be decoded. ${left}`];
    throw new InputError([`The dataset ${source} has no images`, ...which].join(' ') + toldOf(dataset.notices));
  }
  if (classes === 'required' && dataset.items.every(({ label }) => label === null))
    throw new InputError(
      `${source} says no classes: the class of none of its ${dataset.items.length} images is there` +
        toldOf(dataset.notices),
    );
  const twice = repeatedNotice(dataset.items);
  return twice === null ? dataset : { ...dataset, notices: [...dataset.notices, twice] };
}

/** What may explain an error. */
const toldOf = (notices: readonly string[]): string => notices.map((notice) => `. ${notice}`).join('');

/** A warning where a list names images several times: as tables do that have a line for each class. */
function repeatedNotice(items: readonly DatasetItem[]): string | null {
  const labels = new Map<string, DatasetItem['label']>();
  let [repeated, contrary, first] = [0, 0, ''];
  for (const { path, label } of items) {
    if (!labels.has(path)) labels.set(path, label);
    else {
      if (repeated++ === 0) first = path;
      if (JSON.stringify(labels.get(path)) !== JSON.stringify(label)) contrary++;
    }
  }
  if (repeated === 0) return null;
  const others = contrary === 0 ? '' : `, ${contrary} times with another class`;
  return `WARNING: images are listed ${repeated} times more than once${others}, as ${first}: each time counts.`;
}

async function imagesAlone(source: string): Promise<Dataset> {
  const unread = new UnreadImages();
  const items = (await listImages(source, unread)).map((path) => ({ path, label: null }));
  return { kind: 'images', items, notices: [], unread };
}

interface Found {
  readonly kind: keyof typeof KINDS;
  readonly found: readonly string[];
}

async function kindOf(source: Source, options: DatasetOptions): Promise<Found | null> {
  for (const kind of Object.keys(KINDS) as (keyof typeof KINDS)[]) {
    const { find, holdsImages }: DatasetKind = KINDS[kind];
    if (options.classes === 'ignored' && holdsImages !== true) continue;
    // Folders that are the model's classes come before a table of a name that says nothing.
    if (kind === 'other table' && areLabels(source.folders, options)) continue;
    const found = await find(source, options);
    if (found !== undefined) return { kind, found };
  }
  return null;
}
