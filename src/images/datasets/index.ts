/**
 * Finds images: to calibrate on, and, with their classes, to evaluate on. A kind of dataset is one file and one line
 * here.
 */
import { InputError } from '../../errors.js';
import { areLabels, classFolders } from './class-folders.js';
import { labelFile } from './label-file.js';
import { openSource } from './source.js';
import type { DatasetContent, DatasetKind, DatasetOptions, Source } from './source.js';
import { otherTable, tableFile } from './table-file.js';

export { listImages } from './list.js';
export { UnreadImages } from './unread.js';
export type { DatasetOptions } from './source.js';

/** Asked in this order whether a source is theirs. */
const KINDS = {
  table: tableFile,
  'label file': labelFile,
  'other table': otherTable,
  'class folders': classFolders,
} satisfies Record<string, DatasetKind>;

export interface Dataset extends DatasetContent {
  readonly kind: keyof typeof KINDS;
}

/**
 * Opens a dataset with classes: a folder of class folders, a folder with a file that lists images and classes, or
 * such a file itself. The classes are indices or the model's labels; each kind's own file says more.
 *
 * @throws InputError for a source of no kind, an empty dataset, or a class that the model does not have
 */
export async function openDataset(source: string, options: DatasetOptions = {}): Promise<Dataset> {
  const opened = await openSource(source);
  const { kind, found } = await findKind(opened, options);
  const dataset = { kind, ...(await KINDS[kind].read(found, options)) };
  if (dataset.items.length > 0) return dataset;
  const left = dataset.unread?.notice(source) ?? null;
  throw new InputError(`The dataset ${source} has no images${left === null ? '' : ` that can be decoded. ${left}`}`);
}

/** Whether a source says the classes of its images, rightly or not. */
export async function hasClasses(source: string, options: DatasetOptions = {}): Promise<boolean> {
  return (await kindOf(await openSource(source), options)) !== null;
}

async function findKind(source: Source, options: DatasetOptions): Promise<Found> {
  const found = await kindOf(source, options);
  if (found !== null) return found;
  const wanted = Object.values(KINDS).map((kind) => kind.wanted);
  throw new InputError(`${source.path} is not a dataset: it has none of ${wanted.join(', ')}`);
}

interface Found {
  readonly kind: keyof typeof KINDS;
  readonly found: string;
}

async function kindOf(source: Source, options: DatasetOptions): Promise<Found | null> {
  for (const kind of Object.keys(KINDS) as (keyof typeof KINDS)[]) {
    // Folders that are the model's classes come before a table of a name that says nothing.
    if (kind === 'other table' && areLabels(source.folders, options)) continue;
    const found = await KINDS[kind].find(source, options);
    if (found !== undefined) return { kind, found };
  }
  return null;
}
