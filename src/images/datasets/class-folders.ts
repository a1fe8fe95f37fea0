/** A folder with one folder of images per class. */
import path from 'node:path';
import { InputError } from '../../errors.js';
import { readLabels } from '../label-list.js';
import { labelIndex } from '../labels.js';
import { brokenLinks, entriesOf, imagesBelow, subfolders } from './files.js';
import { UnreadImages } from './unread.js';
import type { DatasetContent, DatasetItem, DatasetKind, DatasetOptions, Source } from './source.js';

/** How datasets call their parts. */
const SPLIT = /^(train(ing)?|val(id(ation)?)?|test(ing)?|dev|eval(uation)?|holdout)(_?(set|data|images?|\d+))?$/i;
/** Folders that hold images of all classes. */
const UNSORTED = /^(images?|imgs?|pictures?|photos?|jpe?gs?|pngs?|jpegimages|data)$/i;
/** Lists of class names that may lie beside class folders. */
const NAME_LISTS = /^(labels|classes|class_names|names|categories|synset_words|words)\.(txt|json)$/i;
/** How many names a message lists. */
const SHOWN = 6;
/** ImageNet-1k: its classes are numbered in the order of their WordNet ids. */
const IMAGENET_CLASSES = 1000;

export const classFolders: DatasetKind = {
  wanted: 'one folder per class',

  find(source: Source): Promise<readonly string[] | undefined> {
    return Promise.resolve(source.folders.length > 0 ? [source.path] : undefined);
  },

  async read([source]: readonly [string], options: DatasetOptions): Promise<DatasetContent> {
    const folders = await subfolders(source);
    const { indices, notices } = await classesOf(source, folders, options);
    const items: DatasetItem[] = [];
    const unread = new UnreadImages();
    for (const [i, folder] of folders.entries()) {
      const images = await imagesBelow(path.join(source, folder), unread);
      items.push(...images.map((image) => ({ path: image, label: indices[i]! })));
    }
    const broken = await brokenLinks(source);
    const lost =
      broken.length > 0
        ? [`WARNING: ${source}: links that lead nowhere are left out: ${listed(broken)}; mend them`]
        : [];
    const classes = folders.map((name, i) => ({ name, index: indices[i]! })).sort((a, b) => a.index - b.index);
    return { items, classes: classes.map(({ name }) => name), notices: [...notices, ...lost], unread };
  },
};

/** Whether every folder names one of the model's labels. */
export function areLabels(folders: readonly string[], { labels }: DatasetOptions): boolean {
  const classOf = labelIndex(labels ?? []);
  return folders.length > 0 && folders.every((folder) => classOf(folder) !== undefined);
}

interface Classes {
  readonly indices: readonly number[];
  readonly notices: readonly string[];
}

async function classesOf(source: string, folders: readonly string[], options: DatasetOptions): Promise<Classes> {
  const { labels, classCount = labels?.length } = options;
  const byLabel = matchLabels(source, folders, labels ?? [], "the model's labels");
  if (byLabel !== undefined) return { indices: byLabel, notices: [] };
  refuseParts(source, folders);
  const byNumber = numbersOf(source, folders, labels === undefined, classCount);
  if (byNumber !== undefined) return byNumber;
  if (classCount === IMAGENET_CLASSES && folders.length === classCount && folders.every(isSynset)) {
    const indices = folders.map((_, i) => i);
    return { indices, notices: ["1000 WordNet ids: taken in their order, which is that of ImageNet's classes."] };
  }
  if (labels !== undefined) throw unmatched(source, folders, labels);
  const named = await namesBeside(source, classCount);
  if (named !== undefined) {
    const indices = matchLabels(source, folders, named.labels, `the names in ${named.file}`);
    if (indices !== undefined)
      return { indices, notices: [`The model has no labels: classes are numbered by ${named.file}.`] };
  }
  return inNameOrder(source, folders, classCount);
}

/** @returns undefined where none matches */
function matchLabels(
  source: string,
  folders: readonly string[],
  labels: readonly string[],
  what: string,
): readonly number[] | undefined {
  const found = folders.map(labelIndex(labels));
  const matched = found.filter((index) => index !== undefined).length;
  if (matched === 0) return undefined;
  const missing = found.indexOf(undefined);
  if (missing >= 0) {
    throw new InputError(
      `${source}: ${matched} of ${folders.length} class folders name one of ${what}, but ${folders[missing]} ` +
        'does not (or names several): name it alike',
    );
  }
  const twice = found.findIndex((index, i) => found.indexOf(index) !== i);
  if (twice < 0) return found as number[];
  throw new InputError(
    `${source}: two class folders, one of them ${folders[twice]}, stand for the label ` +
      `${labels[found[twice]!]}: name them apart`,
  );
}

/** @throws InputError for folders that are parts of a dataset, or hold images of all classes */
function refuseParts(source: string, folders: readonly string[]): void {
  const splits = folders.filter((name) => SPLIT.test(name));
  if (splits.length > 0 && splits.length > folders.length / 2) {
    const choice = splits.find((name) => /^(val|test|dev|eval)/i.test(name)) ?? splits[0]!;
    throw new InputError(
      `${source} has no class folders: ${listed(folders)} are parts of a dataset; choose one, as in --dataset ` +
        `${path.join(source, choice)}`,
    );
  }
  if (folders.every((name) => UNSORTED.test(name))) {
    throw new InputError(
      `${source} has no class folders: ${listed(folders)} is no class. Give a folder per class ` +
        `(${path.join(source, folders[0]!)}, where it holds them), or a file beside ${folders[0]} that lists images ` +
        'and classes (labels.csv, metadata.csv, val_annotations.txt)',
    );
  }
}

/** The indices of folders that are called by number: `7`, or `class7` where all numbers from 0 are there. */
function numbersOf(
  source: string,
  folders: readonly string[],
  mayBePart: boolean,
  classCount?: number,
): Classes | undefined {
  const match = folders.map((name) => /^(.*?)(\d+)$/.exec(name));
  const [first] = match;
  if (!first || !match.every((one) => one?.[1] === first[1])) return undefined;
  const indices = match.map((one) => Number(one![2]));
  if (new Set(indices).size !== indices.length) return undefined;
  const isPlain = first[1] === '';
  const isWhole = Math.min(...indices) === 0 && Math.max(...indices) === indices.length - 1;
  if (!isPlain && !(isWhole && (mayBePart || indices.length === classCount))) return undefined;
  const beyond = indices.findIndex((index) => classCount !== undefined && index >= classCount);
  if (beyond >= 0) {
    throw new InputError(
      `${source}: class folder ${folders[beyond]}, but the model has ${classCount} classes, numbered from 0: ` +
        'is the dataset of another model?',
    );
  }
  const isNameOrder = isPlain && indices.every((index, i) => index === i);
  return {
    indices,
    notices: isNameOrder
      ? []
      : [`Class folders with numbers ${isPlain ? 'for names' : 'in their names'}: taken as class indices.`],
  };
}

function isSynset(name: string): boolean {
  return /^n\d{8}$/.test(name);
}

function unmatched(source: string, folders: readonly string[], labels: readonly string[]): InputError {
  const remedy = folders.every(isSynset)
    ? "they are WordNet ids: give the model labels that begin with them (lines like 'n01440764 tench') with ivit label"
    : 'name the folders by label or by class index, or give the model other labels with ivit label';
  return new InputError(
    `${source}: none of its ${folders.length} folders (${listed(folders)}) names one of the model's ` +
      `${labels.length} labels (${listed(labels)}); ${remedy}`,
  );
}

/** The class names in a list beside the folders, where there is one of the right length. */
async function namesBeside(
  source: string,
  classCount?: number,
): Promise<{ file: string; labels: readonly string[] } | undefined> {
  for (const { name } of (await entriesOf(source)).filter((entry) => NAME_LISTS.test(entry.name))) {
    const file = path.join(source, name);
    const labels = await readLabels(file, classCount).catch(() => undefined);
    if (labels !== undefined) return { file, labels };
  }
  return undefined;
}

function inNameOrder(source: string, folders: readonly string[], classCount?: number): Classes {
  if (classCount !== undefined && folders.length !== classCount) {
    throw new InputError(
      `${source} has ${folders.length} class folders (${listed(folders)}), but the model has ${classCount} ` +
        'classes and no labels to match them by; give it labels with ivit label, or name the folders by class ' +
        'index',
    );
  }
  const hasNumbers = folders.some((name) => /\d/.test(name));
  const notices = hasNumbers
    ? [`Class folders are numbered from 0 in the order ${listed(folders, 20)}, as Python sorts them.`]
    : [];
  return { indices: folders.map((_, i) => i), notices };
}

function listed(names: readonly string[], most = SHOWN): string {
  return names.slice(0, most).join(', ') + (names.length > most ? ', …' : '');
}
