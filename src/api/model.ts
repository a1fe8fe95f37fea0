import { TOP, check, checkBytes, checkImage, checkLoadArguments, checkNumbers, checkObject } from './checks.js';
import { loadEngine } from '../engine/engine.js';
import type { BackendName, Engine, EngineOptions } from '../engine/types.js';
import { UsageError } from '../errors.js';
import type { PixelImage } from '../images/image.js';
import { applyRecipe } from '../images/preprocess/recipe.js';
import { loadModel } from '../program/file.js';
import type { StoredModel } from '../program/model.js';
import { elements } from '../program/value.js';
import { classifierOf, outputOf, outputSize } from '../metrics/output.js';
import type { ModelOutput } from '../metrics/output.js';
import { rank, type Prediction } from '../metrics/predictions.js';
import { outputInfos, resultsOf } from '../metrics/results.js';
import type { OutputInfo, OutputLayout, OutputResult } from '../metrics/results.js';

export interface Inference {
  /** The most likely classes, most likely first; of equal logits the lower index first. None where there are none. */
  readonly predictions: readonly Prediction[];
  /** The scores of the classes; all numbers of a model that has none. */
  readonly logits: Int32Array;
  /** Every output of the model. */
  readonly outputs: readonly OutputResult[];
}

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
   * @throws InputError where the file is missing, damaged, of another version, or no backend can run it
   */
  static async load(path: string, options: EngineOptions = {}): Promise<Model> {
    const checked = checkLoadArguments(path, options);
    const loadingEngine = loadEngine(checked);
    loadingEngine.catch(() => undefined); // what is wrong with the file is told first
    const file = await loadModel(path, checked);
    const createEngine = await loadingEngine;
    return new Model(file, createEngine(file.program));
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
    if (this.isClosed) throw new UsageError('run: the model is closed');
    checkBytes('run', 'pixels', pixels, [height, width, channels]);
    return this.engine.run(pixels);
  }

  /** Runs an image of any size. */
  async infer(image: PixelImage, options: { readonly top?: number } = {}): Promise<Inference> {
    checkImage('infer', image);
    const { top = 5 } = checkObject<{ top?: number }>('infer', options, { top: TOP });
    const values = await this.run(this.prepare(image));
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
}
