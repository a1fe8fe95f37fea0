/** Turns what datasets call their classes into class indices of the model. */
import { InputError } from '../../errors.js';
import { labelIndex } from '../labels.js';
import type { DatasetOptions } from './source.js';

/**
 * The class index that a text means: an index from 0, or one of the model's labels.
 *
 * @returns a function that throws InputError, beginning with `where`, for a class that the model does not have
 */
export function classReader({ labels, classCount = labels?.length }: DatasetOptions) {
  const classOf = labelIndex(labels ?? []);
  return (text: string, where: string): number => {
    const label = /^\d+(\.0*)?$/.test(text) ? Number(text) : classOf(text);
    if (label === undefined) {
      const known = labels ? "one of the model's labels" : 'known, as the model has no labels';
      throw new InputError(`${where}: class ${text} is neither an index nor ${known}`);
    }
    if (classCount !== undefined && label >= classCount) {
      const fromOne = label === classCount ? ' (do the indices count from 1?)' : '';
      throw new InputError(
        `${where}: class index ${label}, but the model has ${classCount} classes, numbered from 0${fromOne}`,
      );
    }
    return label;
  };
}

/** Reads class numbers of a dataset that names its classes. */
export interface NumberReader {
  readonly read: (number: number, where: string) => number;
  readonly notices: readonly string[];
}

/**
 * The model's class for a class number of a dataset: that of the same name where all its names are labels of the model,
 * else that of the same number.
 *
 * @param names what the dataset calls its classes; undefined where it does not
 * @param what the dataset, for messages
 */
export function numberReader(
  names: readonly string[] | undefined,
  options: DatasetOptions,
  what: string,
): NumberReader {
  const readClass = classReader(options);
  const plain = (number: number, where: string) => readClass(String(number), where);
  const { labels } = options;
  if (names === undefined || labels === undefined) return { read: plain, notices: [] };
  const indices = names.map(labelIndex(labels));
  const known = indices.filter((index) => index !== undefined);
  if (new Set(known).size === names.length) {
    const isSame = indices.every((index, number) => index === number);
    return {
      read: (number, where) => indices[number] ?? plain(number, where),
      notices: isSame ? [] : [`The classes of ${what} are matched to the model's labels by their names.`],
    };
  }
  return {
    read: plain,
    notices: [
      `WARNING: ${names.length - known.length} of the ${names.length} classes of ${what} are no labels of the model ` +
        `(${names[indices.indexOf(undefined)] ?? names[0]}): they are taken by number.`,
    ],
  };
}

/**
 * All classes that a text lists: `[3, 7]`, `3|7`, `3;7`, `cat|dog`; null where it lists none, but names one class.
 *
 * @returns the texts of the classes
 */
export function listedClasses(text: string): string[] | null {
  if (/^\[.*\]$/s.test(text)) {
    const inner = text.slice(1, -1).trim();
    return inner === '' ? [] : inner.split(/\s*[,;\s]\s*/).map((one) => one.replace(/^(["'])(.*)\1$/, '$2'));
  }
  if (/[|;]/.test(text)) return text.split(/\s*[|;]\s*/).filter((one) => one !== '');
  return /^\d+( \d+)+$/.test(text) ? text.split(' ') : null;
}
