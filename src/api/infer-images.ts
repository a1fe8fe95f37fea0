/** Runs the images of a dataset through a model, in order, while the next are decoded. */
import { availableParallelism } from 'node:os';
import { InputError } from '../errors.js';
import { losesColour } from '../images/channels.js';
import { readImages } from '../images/datasets/read.js';
import type { Dataset, DatasetItem, StoredImage } from '../images/datasets/index.js';
import { decodeOriented } from '../images/decode.js';
import type { ExifMode } from '../images/decode.js';
import type { PixelImage } from '../images/image.js';
import type { Model } from './model.js';

interface Skipped {
  readonly reason: string;
}

interface Decoded {
  readonly path: string;
  readonly image: PixelImage;
  readonly isTurned: boolean;
}

interface Prepared {
  /** What the network reads. */
  readonly pixels: Uint8Array;
  /** Whether its EXIF data give an orientation other than upright. */
  readonly isTurned: boolean;
  /** Whether a network of one channel gets it without its colours. */
  readonly isColoured: boolean;
}

export interface Inferred extends Prepared {
  /** All that the network gives. */
  readonly values: Int32Array;
  readonly ms: number;
}

export interface InferredItem {
  readonly index: number;
  readonly item: DatasetItem;
  readonly input: Skipped | Inferred;
}

/** Which images of a dataset, and how they are read. */
export interface ImageChoice {
  readonly dataset: Pick<Dataset, 'items' | 'read'>;
  /** Of the items, ascending. */
  readonly indices: readonly number[];
  readonly exif: ExifMode;
  /** Whether images without a class are of no use. */
  readonly needClass: boolean;
}

/** Most images that are held decoded at a time. */
const MAX_BATCH = 32;

/**
 * Decodes and infers image by image, results in order. While one batch is inferred the next is decoded, by sharp's own
 * threads; resizing, which is JavaScript, happens in between, so that it does not disturb the measured times.
 *
 * @param loading the first images are decoded while it loads
 * @throws InputError where the files that hold the images are damaged
 */
export async function* inferInOrder(
  loading: Model | Promise<Model>,
  choice: ImageChoice,
): AsyncGenerator<InferredItem> {
  const { dataset, indices } = choice;
  const size = Math.min(MAX_BATCH, 2 * availableParallelism());
  const stored = readImages(dataset, indices);
  const decode = (from: number): Promise<(Decoded | Skipped)[]> => {
    const decoding = decodeNext(stored, indices.slice(from, from + size), choice);
    decoding.catch(() => undefined); // whoever waits for the images gets the error
    return decoding;
  };
  try {
    let decoding = decode(0);
    const model = await loading;
    for (let from = 0; from < indices.length; from += size) {
      const prepared = (await decoding).map((one) => ('reason' in one ? one : prepareItem(model, one)));
      decoding = decode(from + size);
      const inferred = await mapConcurrently(prepared, model.threads, (one) => inferPixels(model, one));
      for (const [i, input] of inferred.entries()) {
        const index = indices[from + i]!;
        yield { index, item: dataset.items[index]!, input };
      }
    }
  } finally {
    await stored.return(undefined);
  }
}

/** Reads the images one after the other, and decodes them at once. */
async function decodeNext(
  stored: AsyncGenerator<StoredImage>,
  indices: readonly number[],
  { dataset: { items }, exif, needClass }: ImageChoice,
): Promise<(Decoded | Skipped)[]> {
  const decoding: Promise<Decoded | Skipped>[] = [];
  for (const index of indices) {
    const { path, label } = items[index]!;
    const { value } = (await stored.next()) as IteratorResult<StoredImage, undefined>;
    if (needClass && label === null) decoding.push(Promise.resolve({ reason: `${path}: its class is not there` }));
    else decoding.push(decodeStored(value!, path, exif));
  }
  return Promise.all(decoding);
}

async function decodeStored(stored: StoredImage, path: string, exif: ExifMode): Promise<Decoded | Skipped> {
  if (stored instanceof Error) return { reason: stored.message };
  if (typeof stored !== 'string' && !(stored instanceof Uint8Array)) return { image: stored, isTurned: false, path };
  try {
    return { ...(await decodeOriented(stored, exif, path)), path };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { reason: error.message };
  }
}

/** What has other channels than the network reads is skipped, with the reason. */
function prepareItem(model: Model, { image, isTurned, path }: Decoded): Prepared | Skipped {
  try {
    const isColoured = model.file.program.input.channels === 1 && losesColour(image);
    return { pixels: model.prepare(image), isTurned, isColoured };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { reason: `Cannot use ${path}: ${error.message}` };
  }
}

async function inferPixels(model: Model, prepared: Prepared | Skipped): Promise<Inferred | Skipped> {
  if ('reason' in prepared) return prepared;
  const { pixels } = prepared;
  const start = performance.now();
  const values = await model.run(pixels);
  return { ...prepared, values, ms: performance.now() - start };
}

/** Works on `count` items at a time: as many as the engine has threads, so that none waits in a queue while timed. */
async function mapConcurrently<T, R>(items: readonly T[], count: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const i = next++;
      results[i] = await work(items[i]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, items.length) }, worker));
  return results;
}
