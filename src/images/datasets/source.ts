/** The contract between `openDataset` and the kinds of dataset: one file a kind, registered in index.ts. */
import type { UnreadImages } from './unread.js';
import { entriesOf, isFolder, subfolders } from './files.js';

export interface DatasetItem {
  /** Path of the image, ready to open. */
  readonly path: string;
  /** Index of its class. */
  readonly label: number;
}

export interface DatasetContent {
  /** In the order of the file, or of the sorted paths. */
  readonly items: readonly DatasetItem[];
  /** The class folders' names, in the order of their class index. */
  readonly classes?: readonly string[];
  /** What was assumed, for the user to read. */
  readonly notices: readonly string[];
  /** The images of its folders that are not decoded. */
  readonly unread?: UnreadImages;
}

export interface DatasetOptions {
  /** The model's labels, to find classes by name. */
  readonly labels?: readonly string[];
  /** How many classes the model has: no class index may reach it. */
  readonly classCount?: number;
}

/** What the user named, and what lies in it. */
export interface Source {
  readonly path: string;
  readonly isFolder: boolean;
  /** Names of the files in the folder, in name order, hidden ones left out. */
  readonly files: readonly string[];
  /** Names of the folders in the folder, in name order, hidden ones left out. */
  readonly folders: readonly string[];
}

export interface DatasetKind {
  /** What a folder of this kind has, to be listed for the user. */
  readonly wanted: string;
  /** The file or folder that it would read; undefined where the source is not of this kind. */
  find(source: Source, options: DatasetOptions): Promise<string | undefined>;
  /** @throws InputError where what was found cannot be used */
  read(found: string, options: DatasetOptions): Promise<DatasetContent>;
}

/** @throws InputError where there is no such file or folder */
export async function openSource(path: string): Promise<Source> {
  if (!(await isFolder(path))) return { path, isFolder: false, files: [], folders: [] };
  const entries = await entriesOf(path);
  const files = entries.filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'));
  return {
    path,
    isFolder: true,
    files: files.map(({ name }) => name).sort(),
    folders: await subfolders(path),
  };
}
