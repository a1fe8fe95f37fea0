/// <reference lib="esnext.disposable" preserve="true" />
import { TOP, check, checkBytes, checkImage, checkLoadArguments, checkNumbers, checkObject } from './checks.js';
import type { LoadOptions } from './checks.js';
import { inferAll } from './infer-all.js';
import type { ImageInput, ImageResult, InferAllOptions, Inference } from './infer-all.js';
import { watched } from './long-work.js';
import { loadEngine } from '../engine/engine.js';
import type { BackendName, Engine } from '../engine/types.js';
import { UsageError } from '../errors.js';
import type { PixelImage } from '../images/image.js';
import { applyRecipe } from '../images/preprocess/recipe.js';
import { loadModel } from '../program/file.js';
import { isIntegerOnly } from '../program/integer-only.js';
import type { StoredModel } from '../program/model.js';
import { elements } from '../program/value.js';
import { classifierOf, outputOf, outputSize } from '../metrics/output.js';
import type { ModelOutput } from '../metrics/output.js';
import { rank, type Prediction } from '../metrics/predictions.js';
import { outputInfos, resultsOf } from '../metrics/results.js';
import type { OutputInfo, OutputLayout, OutputResult } from '../metrics/results.js';

/**
 * A `.ivit` model, loaded and ready to run.
 *
 *     const model = await Model.load('model.ivit');
 *     const { predictions } = await model.infer({ data, width, height });
 *     await model.close();
 */
export class Model {
  private isClosed = false;

  private constructor(
    /** The file's content: program, recipe, labels, provenance. */
    readonly file: StoredModel,
    private readonly engine: Engine,
  ) {}

  /**
   * @throws InputError where the file is missing, damaged, of another version, or no backend can run it; the signal's
   * reason where it is given up
   */
  static async load(path: string, options: LoadOptions = {}): Promise<Model> {
    const { onProgress, ...engine } = watched(checkLoadArguments(path, options));
    const loadingEngine = loadEngine(engine);
    loadingEngine.catch(() => undefined); // what is wrong with the file is told first
    const onBytes = (read: number, total: number): void => onProgress?.('read', read, total);
    const file = await loadModel(path, { ...engine, onBytes });
    const createEngine = await loadingEngine;
    onProgress?.('prepare', 0, 1);
    const model = new Model(file, createEngine(file.program));
    try {
      onProgress?.('prepare', 1, 1);
    } catch (error) {
      await model.close();
      throw error;
    }
    return model;
  }

  get backend(): BackendName {
    return this.engine.backend;
  }

  /** The instruction set that runs. */
  get isa(): string {
    return this.engine.isa;
  }

  get threads(): number {
    return this.engine.threads;
  }

  /** Whether it runs on integers alone; false of `--kernels float`. */
  get integerOnly(): boolean {
    return isIntegerOnly(this.file.program);
  }

  get labels(): readonly string[] | null {
    return this.file.labels;
  }

  /** Every output, in the order of the float model's file. */
  get outputs(): readonly OutputInfo[] {
    return outputInfos(this.layout);
  }

  /** Number of classes; 0 where the model has none, or several heads of which none is its classifier. */
  get classes(): number {
    const { classifier } = this;
    return classifier === null ? 0 : outputSize(classifier);
  }

  private get layout(): OutputLayout {
    return { outputs: this.file.outputs, labels: this.labels, scale: this.logitScale };
  }

  private get classifier(): ModelOutput | null {
    return classifierOf(this.file.outputs);
  }

  /** How many numbers `run` gives. */
  private get outputLength(): number {
    const { ops, output } = this.file.program;
    return elements(ops[output - 1]);
  }

  /** Real value of one unit of the output, for display. */
  get logitScale(): number {
    return Number(this.file.logitScale);
  }

  /**
   * Pixels of an image of any size as the network takes them: resized and cropped by the model's own recipe. A
   * network of one channel sees RGB as grey.
   *
   * @throws InputError where the image has other channels than the network reads
   */
  prepare(image: PixelImage): Uint8Array {
    checkImage('prepare', image);
    return applyRecipe(image, this.file.preprocess, this.file.program.input.channels);
  }

  /**
   * The integers that the network gives for pixels of its own size: all outputs', one after the other.
   *
   * @param pixels u8, [height, width, channels] row-major
   * @returns all on the scale `logitScale`; `results` tells the outputs apart
   */
  async run(pixels: Uint8Array): Promise<Int32Array> {
    const { height, width, channels } = this.file.program.input;
    if (this.isClosed) throw new UsageError('run: the model is closed', { code: 'CLOSED' });
    checkBytes('run', 'pixels', pixels, [height, width, channels]);
    return this.engine.run(pixels);
  }

  /** Runs an image of any size. */
  async infer(image: PixelImage, options: { readonly top?: number } = {}): Promise<Inference> {
    checkImage('infer', image);
    const { top = 5 } = checkObject<{ top?: number }>('infer', options, { top: TOP });
    return this.inferenceOf(await this.run(this.prepare(image)), top);
  }

  /**
   * Runs any number of images: the next are decoded while others are computed, as many at a time as the engine has
   * threads. No more are taken from `images` than are needed to keep it busy.
   *
   *     for await (const { index, error, predictions } of model.inferAll(['a.jpg', 'b.jpg']))
   *
   * @returns results in the order of `images`; of an image that cannot be used, its `error`
   */
  inferAll(
    images: Iterable<ImageInput> | AsyncIterable<ImageInput>,
    options: InferAllOptions = {},
  ): AsyncGenerator<ImageResult> {
    return inferAll(this, images, options);
  }

  /** What `infer` gives, of what `run` gave. */
  inferenceOf(values: Int32Array, top = 5): Inference {
    const logits = this.logitsOf(values);
    return { predictions: this.predictions(logits, top), logits, outputs: this.results(values, top) };
  }

  /** The scores of the classes in what `run` gives; all of it where the model has no classes. */
  logitsOf<T extends Int32Array | Float32Array | Float64Array>(values: T): T {
    checkNumbers('logitsOf', 'values', values, this.outputLength);
    return this.classifier === null ? values : outputOf(values, this.classifier);
  }

  /** What `run` gives, output by output, with the `top` most likely classes of each class vector. */
  results(values: Int32Array, top = 5): OutputResult[] {
    checkNumbers('results', 'values', values, this.outputLength, [Int32Array]);
    check('results', 'top', top, TOP);
    return resultsOf(values, this.layout, top);
  }

  /** The `top` most likely classes of the classifier's logits; none where the model has no classes. */
  predictions(logits: Int32Array, top: number): Prediction[] {
    const { classifier, labels } = this;
    checkNumbers('predictions', 'logits', logits, classifier && outputSize(classifier), [Int32Array]);
    check('predictions', 'top', top, TOP);
    return classifier === null ? [] : rank(classifier, logits, { top, labels, scale: this.logitScale });
  }

  /** Frees threads and memory; the model cannot be used afterwards. */
  close(): Promise<void> {
    if (this.isClosed) return Promise.resolve();
    this.isClosed = true;
    return this.engine.close();
  }

  /** The same, at the end of the block of `await using model = await Model.load(…)`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
