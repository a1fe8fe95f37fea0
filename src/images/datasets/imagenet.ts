/**
 * ImageNet's validation images as they are distributed: one folder of `ILSVRC2012_val_00000001.JPEG` and so on, and
 * beside them a file that says the classes by that number.
 *
 * - `ILSVRC2012_validation_ground_truth.txt` of the development kit: a number of each image, from 1, in the kit's own
 *   order. That is not the order of models, which sort the WordNet ids; `meta.mat`, also of the kit, tells them apart.
 * - `…synset_labels.txt`: a WordNet id of each image.
 * - `real.json` (Beyer et al., "Are we done with ImageNet?", arXiv 2006.07159): all right classes of each image, by the
 *   model's index. Images without any are left out of the count.
 */
import path from 'node:path';
import { InputError } from '../../errors.js';
import { labelIndex } from '../labels.js';
import { readTextFile } from '../text-file.js';
import { classReader } from './classes.js';
import { imagesBelow, isFile } from './files.js';
import { readLines } from './lines.js';
import { readSynsets } from './meta-mat.js';
import type { DatasetContent, DatasetItem, DatasetKind, DatasetOptions, Label, Source } from './source.js';

const IMAGE = /^ILSVRC2012_val_(\d{8})\.jpe?g$/i;
const GROUND_TRUTH = /^ILSVRC2012_validation_ground_truth\.txt$/i;
const SYNSETS = /synset_labels\.txt$/i;
const REAL = /^real\.json$/i;
const META = 'meta.mat';
/** What is read before these, where it lies beside them. */
const OTHERS = /^(labels|val|test)\.txt$/i;

export const imagenet: DatasetKind = {
  wanted: 'ILSVRC2012_validation_ground_truth.txt beside the images',

  find({ path: source, isFolder, files, paths }: Source): Promise<readonly string[] | undefined> {
    const isOurs = (file: string) => [GROUND_TRUTH, SYNSETS, REAL].some((name) => name.test(path.basename(file)));
    if (!isFolder) return Promise.resolve(paths.length === 1 && isOurs(source) ? [source] : undefined);
    if (files.some((file) => OTHERS.test(file))) return Promise.resolve(undefined);
    const found = paths.filter(isOurs);
    if (found.length > 1)
      throw new InputError(`${source} has several files of classes: give one, ${found.join(' or ')}`);
    return Promise.resolve(found.length > 0 ? found : undefined);
  },

  async read([file]: readonly [string], options: DatasetOptions): Promise<DatasetContent> {
    const { labels, notices } = await labelsIn(file, options);
    const folder = path.dirname(file);
    const items: DatasetItem[] = [];
    for (const image of await imagesBelow(folder)) {
      const number = Number(IMAGE.exec(path.basename(image))?.[1] ?? 0);
      if (number === 0) continue;
      if (number > labels.length)
        throw new InputError(`${file} has the classes of ${labels.length} images, but there is ${image}`);
      items.push({ path: image, label: labels[number - 1]! });
    }
    if (items.length === 0)
      throw new InputError(`${folder} has no image called ILSVRC2012_val_ and a number: put ${file} beside the images`);
    return { items, notices };
  },
};

interface Labels {
  readonly labels: readonly (Label | null)[];
  readonly notices: readonly string[];
}

async function labelsIn(file: string, options: DatasetOptions): Promise<Labels> {
  if (REAL.test(path.basename(file))) return realLabels(file, options);
  const classOf = SYNSETS.test(file) ? synsetReader(options) : await kitReader(file, options);
  const lines = await readLines(file);
  return { labels: lines.map(({ text, line }) => classOf(text, `${file}, line ${line}`)), notices: [] };
}

type ClassOf = (text: string, where: string) => number;

/** The class of a WordNet id: of the label that begins with it. */
function synsetReader({ labels = [] }: DatasetOptions): ClassOf {
  const classOf = labelIndex(labels);
  return (text, where) => {
    const index = classOf(text);
    if (index !== undefined) return index;
    throw new InputError(
      `${where}: no label of the model is ${text}: give it labels that begin with WordNet ids ` +
        "(lines like 'n01440764 tench') with ivit label",
    );
  };
}

/** The class of a number of the development kit, by the WordNet id that `meta.mat` has for it. */
async function kitReader(file: string, options: DatasetOptions): Promise<ClassOf> {
  const meta = path.join(path.dirname(file), META);
  if (!(await isFile(meta)))
    throw new InputError(
      `${file} numbers the classes in the development kit's own order, which is not the model's: put the kit's ` +
        `${META} beside it, which names them`,
    );
  const synsets = await readSynsets(meta);
  const { labels, classCount = labels?.length ?? synsets.size } = options;
  const classes = [...synsets].filter(([number]) => number <= classCount);
  // Models number ImageNet's classes in the order of their WordNet ids.
  const sorted = classes.map(([, synset]) => synset).sort();
  const classOf = labelIndex(labels ?? []);
  const indexOf = new Map(classes.map(([number, synset]) => [number, classOf(synset) ?? sorted.indexOf(synset)]));
  return (text, where) => {
    const index = /^\d+$/.test(text) ? indexOf.get(Number(text)) : undefined;
    if (index === undefined) throw new InputError(`${where}: ${text} is no class of the model by ${meta}`);
    return index;
  };
}

async function realLabels(file: string, options: DatasetOptions): Promise<Labels> {
  let lists: unknown;
  try {
    lists = JSON.parse(await readTextFile(file));
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${file} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  const isList = (list: unknown) => Array.isArray(list) && list.every((one) => Number.isSafeInteger(one));
  if (!Array.isArray(lists) || !lists.every(isList))
    throw new InputError(`${file} holds no lists of classes, one for each image`);
  const readClass = classReader(options);
  const labels = (lists as number[][]).map((list, i) =>
    list.map((one) => readClass(String(one), `${file}, image ${i + 1}`)),
  );
  const without = labels.filter((list) => list.length === 0).length;
  const notice = `${without} images have no right class by ${file}: they do not count for accuracy.`;
  return { labels, notices: without === 0 ? [] : [notice] };
}
