/** A text file with an image and its class on each line. */
import path from 'node:path';
import { InputError } from '../../errors.js';
import { labelIndex } from '../labels.js';
import { classReader } from './classes.js';
import { ImageFinder, isFile, isImageName, within } from './files.js';
import { readLines, splitsOf } from './lines.js';
import type { DatasetContent, DatasetItem, DatasetKind, DatasetOptions, Source } from './source.js';

/** Files that hold datasets and are no lines of text, or no lines of a table. */
const OTHER =
  /\.(json|geojson|ya?ml|xml|arrow|feather|xlsx?|ods|npz|tfrecords?|zip|7z|rar|t?(gz|bz2?|xz|zst)|lmdb|pkl|h5|hdf5)$/i;
const NAMES = ['labels.txt', 'val.txt', 'test.txt'] as const;

export const labelFile: DatasetKind = {
  wanted: NAMES.join(', '),

  async find(source: Source): Promise<readonly string[] | undefined> {
    if (!source.isFolder) return source.paths.length === 1 ? source.paths : undefined;
    for (const wanted of NAMES) {
      const name = source.files.find((file) => file.toLowerCase() === wanted);
      if (name === undefined) continue;
      const file = path.join(source.path, name);
      // Beside class folders, such a file may hold the names of the classes.
      if (source.folders.length === 0 || (await namesImages(file))) return [file];
    }
    return undefined;
  },

  async read([file]: readonly [string], options: DatasetOptions): Promise<DatasetContent> {
    const other = OTHER.exec(file)?.[1]?.toLowerCase();
    if (other !== undefined)
      throw new InputError(
        `${file}: datasets are not read from .${other} files. Give a folder of images per class, or a table of ` +
          'images and classes beside them: CSV, TSV or JSON lines (.jsonl)',
      );
    const classOf = labelIndex(options.labels ?? []);
    const readClass = classReader(options);
    const folder = path.dirname(file);
    const finder = new ImageFinder(folder);
    const items: DatasetItem[] = [];
    for (const { text, line } of await readLines(file)) {
      const where = `${file}, line ${line}`;
      const entry = splitLine(text, (name) => classOf(name) !== undefined);
      if (!entry.path || !entry.label)
        throw new InputError(`${where}: expected an image's path and its class, found: ${text}`);
      const label = readClass(entry.label, where);
      items.push({ path: (await finder.find(entry.path)) ?? within(folder, entry.path), label });
    }
    return { items, notices: [] };
  },
};

/** Whether one of the first lines names an image, by its extension or because it is there. */
async function namesImages(file: string): Promise<boolean> {
  const folder = path.dirname(file);
  for (const { text } of (await readLines(file)).slice(0, 5)) {
    for (const { path: name } of splitsOf(text))
      if (isImageName(name) || (await isFile(within(folder, name)))) return true;
  }
  return false;
}

/** Path and class of a line. Either may hold spaces: an index is the last word, a label is looked up; quotes tell. */
function splitLine(text: string, isLabel: (name: string) => boolean): { path: string; label: string } {
  const quoted = /^"((?:[^"]|"")+)"[\s,;]+(?:"((?:[^"]|"")+)"|([^"]+))$/.exec(text);
  if (quoted) return { path: unquoted(quoted[1]!), label: unquoted(quoted[2] ?? quoted[3]!) };
  const numbered = /^(.*[^\s,;])[\s,;]+(\d+)$/.exec(text);
  if (numbered) return { path: numbered[1]!, label: numbered[2]! };
  const splits = splitsOf(text);
  return splits.find(({ label }) => isLabel(label)) ?? splits.at(-1) ?? { path: text, label: '' };
}

/** What stands between quotes, in which quotes are doubled. */
function unquoted(text: string): string {
  return text.replaceAll('""', '"').trim();
}
