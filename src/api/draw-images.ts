/** Draws images at random from whatever holds them: to calibrate on, and to try recipes. */
import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { InputError } from '../errors.js';
import { openDataset } from '../images/datasets/index.js';
import { readImages } from '../images/datasets/read.js';
import type { StoredImage, UnreadImages } from '../images/datasets/index.js';
import { decodeImage } from '../images/decode.js';
import type { PixelImage } from '../images/image.js';
import { sample } from '../images/random.js';
import type { Shard } from './shard.js';

/** Which images are drawn, and which are made up. */
export const SEED = 1;

const WHOLE: Shard = { index: 1, count: 1 };

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
  /** SHA-256 of the names of all images that are drawn, in their order, those of other shards too. */
  readonly digest: string;
  readonly images: AsyncIterable<DrawnImage>;
}

/**
 * `count` of the images of a folder, a list or a file that holds images, or all of them: files in random order, and
 * what is read from one file in the order in which it lies there.
 *
 * @param shard the part of those that are drawn; default: all
 * @throws InputError where there are none
 */
export async function drawImages(source: string, count: number, shard = WHOLE): Promise<DrawnImages> {
  const dataset = await openDataset(source, { classes: 'ignored' });
  const all = sample([...dataset.items.keys()], count, SEED);
  const [from, to] = [shard.index - 1, shard.index].map((edge) => Math.floor((edge * all.length) / shard.count));
  const drawn = all.slice(from, to);
  if (dataset.read !== undefined) drawn.sort((a, b) => a - b);
  const { unread, notices } = dataset;
  const names = all.map((index) => path.basename(dataset.items[index]!.path));
  const digest = createHash('sha256').update(names.join('\n')).digest('hex');
  return { count: drawn.length, unread, notices, digest, images: decodeAll(dataset, drawn) };
}

/** Images that are decoded while earlier ones are used: Node gives the decoder four threads. */
const AHEAD = Math.min(4, availableParallelism());

async function* decodeAll(
  dataset: Awaited<ReturnType<typeof openDataset>>,
  indices: readonly number[],
): AsyncGenerator<DrawnImage> {
  const decoding: Promise<DrawnImage>[] = [];
  let at = 0;
  for await (const stored of readImages(dataset, indices)) {
    const next = decodeStored(stored, dataset.items[indices[at++]!]!.path);
    next.catch(() => undefined); // it is awaited below, unless whoever reads the images stops before
    decoding.push(next);
    if (decoding.length > AHEAD) yield await decoding.shift()!;
  }
  while (decoding.length > 0) yield await decoding.shift()!;
}

async function decodeStored(stored: StoredImage, name: string): Promise<DrawnImage> {
  const isEncoded = typeof stored === 'string' || stored instanceof Uint8Array;
  return { path: name, image: isEncoded ? await decodeOrError(stored, name) : stored };
}

async function decodeOrError(input: string | Uint8Array, name: string): Promise<PixelImage | InputError> {
  try {
    return await decodeImage(input, name);
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
}
