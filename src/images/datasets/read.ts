/** Apart from the kinds of datasets, which take long to load. */
import { coded } from '../../errors.js';
import type { DatasetContent, StoredImage } from './source.js';

/**
 * The images of some items, in the order of `indices`, which ascend. One that cannot be read is given as the error.
 *
 * @throws InputError where the files that hold them are damaged
 */
export async function* readImages(
  { items, read }: Pick<DatasetContent, 'items' | 'read'>,
  indices: readonly number[],
): AsyncGenerator<StoredImage> {
  if (read !== undefined)
    try {
      yield* read(indices);
    } catch (error) {
      throw coded(error, 'BAD_DATASET');
    }
  else for (const index of indices) yield items[index]!.path;
}
