/** Draws images at random from whatever holds them: to calibrate on, and to try recipes. */
import { InputError } from '../errors.js';
import { openDataset, readImages } from '../images/datasets/index.js';
import type { UnreadImages } from '../images/datasets/index.js';
import { decodeImage } from '../images/decode.js';
import type { PixelImage } from '../images/image.js';
import { sample } from '../images/random.js';

/** Which images are drawn, and which are made up. */
export const SEED = 1;

export interface DrawnImage {
  readonly path: string;
  /** The error where it cannot be decoded. */
  readonly image: PixelImage | InputError;
}

export interface DrawnImages {
  /** How many were drawn. */
  readonly count: number;
  readonly unread: UnreadImages | undefined;
  readonly notices: readonly string[];
  readonly images: AsyncIterable<DrawnImage>;
}

/**
 * `count` of the images of a folder, a list or a file that holds images, or all of them: files in random order, and
 * what is read from one file in the order in which it lies there.
 *
 * @throws InputError where there are none
 */
export async function drawImages(source: string, count: number): Promise<DrawnImages> {
  const dataset = await openDataset(source, { classes: 'ignored' });
  const drawn = sample([...dataset.items.keys()], count, SEED);
  if (dataset.read !== undefined) drawn.sort((a, b) => a - b);
  const { unread, notices } = dataset;
  return { count: drawn.length, unread, notices, images: decodeAll(dataset, drawn) };
}

async function* decodeAll(
  dataset: Awaited<ReturnType<typeof openDataset>>,
  indices: readonly number[],
): AsyncGenerator<DrawnImage> {
  let at = 0;
  for await (const stored of readImages(dataset, indices)) {
    const { path } = dataset.items[indices[at++]!]!;
    const isEncoded = typeof stored === 'string' || stored instanceof Uint8Array;
    yield { path, image: isEncoded ? await decodeOrError(stored, path) : stored };
  }
}

async function decodeOrError(input: string | Uint8Array, path: string): Promise<PixelImage | InputError> {
  try {
    return await decodeImage(input, path);
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
}
