/** The contract between `openDataset` and the kinds of dataset: one file a kind, registered in index.ts. */
import path from 'node:path';
import type { InputError } from '../../errors.js';
import type { PixelImage } from '../image.js';
import { byCodeUnits, entriesOf, isFolder, subfolders } from './files.js';
import { expandPattern, isPattern } from './pattern.js';
import type { UnreadImages } from './unread.js';

/** Index of a class, or of all classes that an image shows: of multi-label datasets, and of ReaL's labels. */
export type Label = number | readonly number[];

export interface DatasetItem {
  /** Path of the image; of one that is no file of its own, the file that holds it and its name there. */
  readonly path: string;
  /** Null where the dataset has classes, and says none of this image. */
  readonly label: Label | null;
}

/** An image as it lies in a dataset: path of its file, bytes of one, pixels, or why it cannot be used. */
export type StoredImage = string | Uint8Array | PixelImage | InputError;

/** The images of some items, in the order of `indices`, which ascend: what is compressed is read once. */
export type ReadImages = (indices: readonly number[]) => AsyncIterable<StoredImage>;

export interface DatasetContent {
  /** In the order of the file, or of the sorted paths. */
  readonly items: readonly DatasetItem[];
  /** The class folders' names, in the order of their class index. */
  readonly classes?: readonly string[];
  /** What was assumed, for the user to read. */
  readonly notices: readonly string[];
  /** The images of its folders that are not decoded. */
  readonly unread?: UnreadImages;
  /** Of images that are no files of their own; without it, an item's path is its file. */
  readonly read?: ReadImages;
}

export interface DatasetOptions {
  /** The model's labels, to find classes by name. */
  readonly labels?: readonly string[];
  /** How many classes the model has: no class index may reach it. */
  readonly classCount?: number;
  /** Whether a dataset must say classes (the default), may, or is read without them, as for calibration. */
  readonly classes?: 'required' | 'optional' | 'ignored';
}

/** What the user named, and what lies in it. */
export interface Source {
  readonly path: string;
  readonly isFolder: boolean;
  /** Names of the files in the folder, in name order, hidden ones left out. */
  readonly files: readonly string[];
  /** Names of the folders in the folder, in name order, hidden ones left out. */
  readonly folders: readonly string[];
  /** The paths of `files`; where no folder is named, the file, or all that a pattern stands for. */
  readonly paths: readonly string[];
}

export interface DatasetKind {
  /** What a folder of this kind has, to be listed for the user. */
  readonly wanted: string;
  /** Whether its images are no files of their own, so that it can be read without classes too. */
  readonly holdsImages?: true;
  /** The files or the folder that it would read; undefined where the source is not of this kind. */
  find(source: Source, options: DatasetOptions): Promise<readonly string[] | undefined>;
  /** @throws InputError where what was found cannot be used */
  read(found: readonly string[], options: DatasetOptions): Promise<DatasetContent>;
}

/** @throws InputError where there is no such file or folder */
export async function openSource(source: string): Promise<Source> {
  if (await isPattern(source)) {
    const paths = await expandPattern(source);
    return { path: source, isFolder: false, files: [], folders: [], paths };
  }
  if (!(await isFolder(source))) return { path: source, isFolder: false, files: [], folders: [], paths: [source] };
  const entries = await entriesOf(source);
  const files = entries.filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'));
  const names = files.map(({ name }) => name).sort(byCodeUnits);
  return {
    path: source,
    isFolder: true,
    files: names,
    folders: await subfolders(source),
    paths: names.map((name) => path.join(source, name)),
  };
}

/**
 * The files of a source that may hold images of a kind: the one named, those of a pattern, or those in a folder that
 * has no folders of its own, which might be classes.
 */
export function containersIn(source: Source, name: RegExp): readonly string[] | undefined {
  const found = source.folders.length > 0 ? [] : source.paths.filter((file) => name.test(file));
  if (found.length === 0 || (!source.isFolder && found.length < source.paths.length)) return undefined;
  return found;
}
