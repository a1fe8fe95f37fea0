import { TOP, check, checkBytes, checkImage, checkLoadArguments, checkLogits, checkObject } from './checks.js';
import { loadEngine } from '../engine/engine.js';
import type { BackendName, Engine, EngineOptions } from '../engine/types.js';
import { UsageError } from '../errors.js';
import type { RgbImage } from '../images/image.js';
import { labelText } from '../images/labels.js';
import { applyRecipe } from '../images/preprocess/recipe.js';
import { loadModel } from '../program/file.js';
import type { IvitModel } from '../program/model.js';
import { outputShape } from '../program/output.js';
import type { OutputShape } from '../program/output.js';
import { topIndices } from '../metrics/accuracy.js';
import { softmax } from '../metrics/agreement.js';

export interface Prediction {
  /** Index of the class. */
  readonly index: number;
  /** Its name, without a WordNet id in front; null where the model has no labels. */
  readonly label: string | null;
  /** For display: softmax of the logits in floating point, after all decisions have been made on integers. */
  readonly probability: number;
}

export interface Inference {
  /** The most likely classes, most likely first; of equal logits the lower index first. None where there are none. */
  readonly predictions: readonly Prediction[];
  readonly logits: Int32Array;
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
    readonly file: IvitModel,
    private readonly engine: Engine,
  ) {}

  /**
   * @throws InputError where the file is missing, damaged, of another version, or no backend can run it
   */
  static async load(path: string, options: EngineOptions = {}): Promise<Model> {
    checkLoadArguments(path, options);
    const loadingEngine = loadEngine(options);
    loadingEngine.catch(() => undefined); // what is wrong with the file is told first
    const file = await loadModel(path, options);
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

  /** Number of classes; 0 where the model gives features. */
  get classes(): number {
    return this.output.classes;
  }

  /** What the numbers are that the model gives. */
  get output(): OutputShape {
    return outputShape(this.file.program);
  }

  /** Real value of one unit of the output, for display. */
  get logitScale(): number {
    return Number(this.file.logitScale);
  }

  /** Pixels of an image of any size as the network takes them: resized and cropped by the model's own recipe. */
  prepare(image: RgbImage): Uint8Array {
    checkImage('prepare', image);
    return applyRecipe(image, this.file.preprocess);
  }

  /**
   * The integer logits of pixels of the network's own size.
   *
   * @param pixels u8, [height, width, 3] row-major
   * @returns one logit a class, or features, token by token: all on the scale `logitScale`
   */
  async run(pixels: Uint8Array): Promise<Int32Array> {
    const { height, width, channels } = this.file.program.input;
    if (this.isClosed) throw new UsageError('run: the model is closed');
    checkBytes('run', 'pixels', pixels, [height, width, channels]);
    return this.engine.run(pixels);
  }

  /** Classifies an image of any size. */
  async infer(image: RgbImage, options: { readonly top?: number } = {}): Promise<Inference> {
    checkImage('infer', image);
    checkObject('infer', options, { top: TOP });
    const logits = await this.run(this.prepare(image));
    return { predictions: this.predictions(logits, options.top ?? 5), logits };
  }

  /** The `top` most likely classes of given logits; none where the model gives features. */
  predictions(logits: Int32Array, top: number): Prediction[] {
    checkLogits('predictions', logits, this.output.tokens * this.output.values);
    check('predictions', 'top', top, TOP);
    if (this.classes === 0) return [];
    const probabilities = softmax(logits, this.logitScale);
    return topIndices(logits, top).map((index) => ({
      index,
      label: this.labels?.[index] === undefined ? null : labelText(this.labels[index]),
      probability: probabilities[index],
    }));
  }

  /** Frees threads and memory; the model cannot be used afterwards. */
  close(): Promise<void> {
    if (this.isClosed) return Promise.resolve();
    this.isClosed = true;
    return this.engine.close();
  }
}
