/** Runs any number of images through a model, at the speed of its batches. */
import { InputError, UsageError } from '../errors.js';
import { decodeOriented } from '../images/decode.js';
import type { ExifMode } from '../images/decode.js';
import type { PixelImage } from '../images/image.js';
import { EXIF, LONG_WORK, TOP, checkImage, checkObject } from './checks.js';
import type { Prediction } from '../metrics/predictions.js';
import type { OutputResult } from '../metrics/results.js';

/** What a model says of an image. */
export interface Inference {
  /** The most likely classes, most likely first; of equal logits the lower index first. None where there are none. */
  readonly predictions: readonly Prediction[];
  /** The scores of the classes; all numbers of a model that has none. */
  readonly logits: Int32Array;
  /** Every output of the model. */
  readonly outputs: readonly OutputResult[];
}

/** The part of a model that is needed here. */
interface Runner {
  readonly threads: number;
  prepare(image: PixelImage): Uint8Array;
  run(pixels: Uint8Array): Promise<Int32Array>;
  inferenceOf(values: Int32Array, top: number): Inference;
}

/** An image: the path of a file, the bytes of one, or decoded pixels. */
export type ImageInput = string | Uint8Array | PixelImage;

export interface InferAllOptions {
  /** How many classes `predictions` have; default: 5. */
  readonly top?: number;
  /** Whether photographs are turned upright by their EXIF orientation; default: `apply`, as `ivit infer` does. */
  readonly exif?: ExifMode;
  /** Ends the iteration: it throws the signal's reason. */
  readonly signal?: AbortSignal;
}

interface Numbered {
  /** The image's place among those given, counted from 0. */
  readonly index: number;
  /** The image as it was given. */
  readonly input: ImageInput;
}

/** An image that the model saw. */
export interface InferredImage extends Numbered, Inference {
  readonly error?: undefined;
}

/** An image that could not be read, or does not suit the model. */
export interface RefusedImage extends Numbered {
  readonly error: InputError | UsageError;
  readonly predictions?: undefined;
  readonly logits?: undefined;
  readonly outputs?: undefined;
}

export type ImageResult = InferredImage | RefusedImage;

type Images = Iterable<ImageInput> | AsyncIterable<ImageInput>;
type Prepared = Numbered & ({ readonly error: RefusedImage['error'] } | { readonly pixels: Uint8Array });

/** Most images of a batch; three batches are held at a time: one decoded, one computed, one handed out. */
const MOST_IMAGES = 32;

/**
 * The generator behind `Model.inferAll`. Arguments are checked when it is called.
 *
 * @throws UsageError for wrong arguments
 */
export function inferAll(model: Runner, images: Images, options: InferAllOptions): AsyncGenerator<ImageResult> {
  const isIterable =
    typeof images === 'object' && images !== null && (Symbol.asyncIterator in images || Symbol.iterator in images);
  if (!isIterable || images instanceof Uint8Array)
    throw new UsageError('inferAll: images must be a list, or something else to iterate over, of paths or images');
  const checks = { top: TOP, exif: EXIF, signal: LONG_WORK.signal };
  return generate(model, images, checkObject<InferAllOptions>('inferAll', options, checks));
}

async function* generate(
  model: Runner,
  images: Images,
  { top = 5, exif = 'apply', signal }: InferAllOptions,
): AsyncGenerator<ImageResult> {
  signal?.throwIfAborted();
  const source = new Source(images, signal);
  const size = Math.min(MOST_IMAGES, 2 * model.threads);
  const prepareNext = (): Promise<Prepared[]> =>
    quiet(source.take(size).then((inputs) => Promise.all(inputs.map((one) => prepare(model, one, exif)))));
  const run = (batch: readonly Prepared[]): Promise<ImageResult[]> =>
    quiet(Promise.all(batch.map((one) => ('pixels' in one ? infer(model, one, top) : one))));
  try {
    let preparing = prepareNext();
    let running: Promise<ImageResult[]> | null = null;
    for (;;) {
      const batch = await preparing;
      const next: Promise<ImageResult[]> | null = batch.length === 0 ? null : run(batch);
      if (next !== null) preparing = prepareNext();
      for (const result of (await running) ?? []) {
        signal?.throwIfAborted();
        yield result;
      }
      signal?.throwIfAborted();
      if (next === null) return;
      running = next;
    }
  } finally {
    await source.close();
  }
}

/** Whoever awaits the work later gets its error; until then it counts as handled. */
function quiet<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  return work;
}

async function prepare(model: Runner, { index, input }: Numbered, exif: ExifMode): Promise<Prepared> {
  try {
    const isEncoded = typeof input === 'string' || input instanceof Uint8Array;
    const image = isEncoded ? (await decodeOriented(input, exif)).image : input;
    checkImage('inferAll', image);
    return { index, input, pixels: model.prepare(image) };
  } catch (error) {
    if (error instanceof InputError || error instanceof UsageError) return { index, input, error };
    throw error;
  }
}

async function infer(
  model: Runner,
  { index, input, pixels }: Numbered & { readonly pixels: Uint8Array },
  top: number,
): Promise<InferredImage> {
  return { index, input, ...model.inferenceOf(await model.run(pixels), top) };
}

/** What images come from, read a batch at a time. */
class Source {
  readonly #iterator: Iterator<ImageInput> | AsyncIterator<ImageInput>;
  #index = 0;
  #isWaiting = false;
  #isDone = false;

  constructor(
    images: Images,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.#iterator = Symbol.asyncIterator in images ? images[Symbol.asyncIterator]() : images[Symbol.iterator]();
  }

  /** The next `count` images; fewer where there are no more. */
  async take(count: number): Promise<Numbered[]> {
    const taken: Numbered[] = [];
    while (taken.length < count && !this.#isDone) {
      this.#isWaiting = true;
      const { done, value } = await untilAborted(Promise.resolve(this.#iterator.next()), this.signal);
      this.#isWaiting = false;
      if (done === true) this.#isDone = true;
      else taken.push({ index: this.#index++, input: value });
    }
    return taken;
  }

  /** Ends an iteration that has more. One that is waited for ends by itself: it may take for ever. */
  async close(): Promise<void> {
    if (this.#isDone) return;
    this.#isDone = true;
    const closing = quiet(Promise.resolve(this.#iterator.return?.()));
    if (!this.#isWaiting) await closing;
  }
}

/** The promise, or the signal's reason where that comes first. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
