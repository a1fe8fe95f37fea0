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
