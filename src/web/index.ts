/// <reference lib="esnext.disposable" preserve="true" />
/** `ivit/web`: runs `.ivit` models in browsers, without Node. */
import { UsageError } from '../errors.js';
import type { ImageMap } from '../explain/image-map.js';
import { digestBytes } from '../metrics/digest.js';
import { classifierOf, outputOf, outputSize } from '../metrics/output.js';
import { rank, type Prediction } from '../metrics/predictions.js';
import { resultsOf, type OutputResult } from '../metrics/results.js';
import { checkCount, checkValues, isBytes } from './checks.js';
import { pixelImage, type WebImage } from './image.js';
import { Pool } from './pool.js';
import type { ModelInfo, Source } from './protocol.js';
import { sha256 } from './sha256.js';
import { baseUrl, readSource, type ModelSource, type OnProgress } from './source.js';
import { WorkerClient } from './worker-client.js';

export { InputError, UsageError } from '../errors.js';
export type { InputErrorCode, UsageErrorCode } from '../errors.js';
export type { Prediction } from '../metrics/predictions.js';
export { realValues } from '../metrics/results.js';
export type { OutputInfo, OutputResult } from '../metrics/results.js';
export type { ImageMap } from '../explain/image-map.js';
export type { OpDescription } from '../program/describe.js';
export type { WebImage } from './image.js';
export type { ModelInfo } from './protocol.js';
export type { ResizeRecipe } from '../images/preprocess/recipe.js';
export type { ModelOutput, TailStep } from '../metrics/output.js';
export type { Provenance } from '../program/model.js';
export type { Reals } from '../metrics/tail.js';
export type { ModelSource, OnProgress } from './source.js';

export interface WebOptions {
  /**
   * Images that are computed at a time; default: as many as the machine has cores. Where the page is not cross-origin
   * isolated it is 1.
   */
  readonly threads?: number;
  /** The folder that `worker.js`, `ivit.wasm` and `ivit-relaxed.wasm` lie in, if it is not this file's. */
  readonly assets?: string | URL;
  /** Bytes of memory that the model may take; default: a limit that usual models stay below. */
  readonly maxMemory?: number;
  /** Told while a model is loaded from an address. */
  readonly onProgress?: OnProgress;
  /** Gives loading up: the promise is rejected with the signal's reason, and the threads end. */
  readonly signal?: AbortSignal;
}

declare const crossOriginIsolated: boolean | undefined;
declare const navigator: { readonly hardwareConcurrency?: number };

/**
 * Loads a model.
 *
 *     const model = await loadModel('model.ivit');
 *     const values = await model.run({ data, width, height });
 *     console.log(model.predictions(values), digestOf(values));
 *
 * @throws InputError where it cannot be loaded, is damaged or takes too much memory
 */
export async function loadModel(source: ModelSource, options: WebOptions = {}): Promise<WebModel> {
  const threads = threadsOf(options.threads);
  const assets = options.assets === undefined ? null : new URL(options.assets, baseUrl());
  const { signal } = options;
  signal?.throwIfAborted();
  const bytes = await readSource(source, options);
  const first = new WorkerClient(assets);
  const workers = [first];
  const abort = (): void => workers.forEach((worker) => worker.fail(signal!.reason as Error));
  signal?.addEventListener('abort', abort, { once: true });
  try {
    signal?.throwIfAborted();
    const copies = threads > 1 ? threads - 1 : 0;
    const ask = { bytes, wasm: wasmUrls(assets), maxMemory: options.maxMemory, copies };
    const { info, snapshot } = await first.ask('load', ask, [bytes.buffer]);
    if (snapshot !== null) for (let i = 0; i < copies; i++) workers.push(new WorkerClient(assets));
    await Promise.all(workers.slice(1).map((worker) => worker.ask('attach', { snapshot: snapshot!, info })));
    return new WebModel(info, workers);
  } catch (error) {
    for (const worker of workers) worker.fail(error as Error);
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** A model that is ready to run. */
class WebModel {
  readonly #pool: Pool;
  /** The worker that has all of the model. */
  readonly #first: WorkerClient;
  /** Images that are computed at a time. */
  readonly threads: number;

  constructor(
    readonly info: ModelInfo,
    workers: readonly WorkerClient[],
  ) {
    this.#pool = new Pool(workers);
    this.#first = workers[0];
    this.threads = workers.length;
  }

  get labels(): readonly string[] | null {
    return this.info.labels;
  }

  /** Pixels of an image of any size as the network takes them: u8 [height, width, channels]. */
  async prepare(image: WebImage): Promise<Uint8Array> {
    return this.#pool.ask('prepare', { image: pixelImage(image) });
  }

  /**
   * The integers that the network gives: all outputs, one after the other.
   *
   * @param image of any size; or the bytes that `prepare` gives
   */
  async run(image: WebImage | Uint8Array): Promise<Int32Array> {
    return this.#pool.ask('run', this.#sourceOf(image));
  }

  /**
   * Where the model looked: attention rollout of its own integer weights, and what each head of the last block took;
   * null where `info.hasAttention` is false, as attention does not reach over all of the image. It takes some times as
   * long as `run`.
   */
  async attention(image: WebImage | Uint8Array): Promise<readonly ImageMap[] | null> {
    return this.#pool.ask('attention', this.#sourceOf(image), this.#first);
  }

  #sourceOf(image: WebImage | Uint8Array): Source {
    if (!isBytes(image)) return { image: pixelImage(image) };
    const { height, width, channels } = this.info.input;
    if (image.length !== height * width * channels)
      throw new UsageError(`Pixels are ${image.length} bytes, not ${height}×${width}×${channels}`);
    return { pixels: new Uint8Array(image) };
  }

  #checkResults(values: Int32Array, top: number): void {
    const { outputs } = this.info;
    checkValues(values, Math.max(...outputs.map((output) => output.start + outputSize(output))));
    checkCount('top', top);
  }

  /** Several images, as many at a time as there are threads; results in order. */
  runAll(images: readonly (WebImage | Uint8Array)[]): Promise<Int32Array[]> {
    return Promise.all(images.map((image) => this.run(image)));
  }

  /** The most likely classes in what `run` gives; none where the model has no classes. */
  predictions(values: Int32Array, top = 5): Prediction[] {
    this.#checkResults(values, top);
    const { outputs, labels, logitScale } = this.info;
    const classifier = classifierOf(outputs);
    if (classifier === null) return [];
    return rank(classifier, outputOf(values, classifier), { top, labels, scale: Number(logitScale) });
  }

  /** What `run` gives, output by output, with the most likely classes of each class vector. */
  results(values: Int32Array, top = 5): OutputResult[] {
    this.#checkResults(values, top);
    const { outputs, labels, logitScale } = this.info;
    return resultsOf(values, { outputs, labels, scale: Number(logitScale) }, top);
  }

  /** Ends the threads; the model cannot be used afterwards. */
  close(): void {
    this.#pool.close(new UsageError('The model is closed', { code: 'CLOSED' }));
  }

  /** The same, at the end of the block of `using model = await loadModel(…)`, where the browser knows that. */
  [Symbol.dispose](): void {
    this.close();
  }
}

export type { WebModel };

/** SHA-256 of what `run` gives, as `ivit infer --digest` prints it: whoever gives the same has computed the same. */
export function digestOf(values: Int32Array): string {
  checkValues(values);
  return sha256(digestBytes(values));
}

/** As many as Node takes: more only cost memory. */
function threadsOf(threads?: number): number {
  const cores = navigator.hardwareConcurrency ?? 1;
  if (threads !== undefined) checkCount('threads', threads, Math.max(16, 4 * cores));
  return typeof crossOriginIsolated !== 'undefined' && crossOriginIsolated === true ? (threads ?? cores) : 1;
}

/** Each spelled out, as bundlers look for them. */
function wasmUrls(assets: URL | null): { 'relaxed-dot': string; simd128: string } {
  if (assets !== null) {
    const of = (name: string): string => new URL(name, assets).href;
    return { 'relaxed-dot': of('ivit-relaxed.wasm'), simd128: of('ivit.wasm') };
  }
  return {
    'relaxed-dot': new URL('./ivit-relaxed.wasm', import.meta.url).href,
    simd128: new URL('./ivit.wasm', import.meta.url).href,
  };
}
