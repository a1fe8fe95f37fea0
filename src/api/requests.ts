/** What callers ask for. */
import type { ExifMode } from '../images/decode.js';
import type { RecipeFlags } from '../images/preprocess/flags.js';
import type { RowLabel } from '../metrics/image-row.js';
import type { Effort, FitStage, KernelSet, QuantizeOptions, ScaleMode } from '../quantize/index.js';
import type { LongWork } from './long-work.js';
import type { Row } from './part-file.js';
import type { Shard } from './shard.js';

export interface QuantizeRequest extends Partial<QuantizeOptions>, LongWork<QuantizeStage> {
  /** Path of the `.ivit` to write; default: the model's with `.ivit` for its extension. */
  readonly output?: string;
  /** Folder, ImageFolder or text list of calibration images; without it, images are made up. */
  readonly images?: string;
  /** How many of them to use, drawn at random with a fixed seed; default: as many as the effort takes. */
  readonly numImages?: number;
  /**
   * Files of calibration statistics of this model, made by `saveStats`, on which ranges are chosen: together with the
   * images, or alone where there are none. Where one is of the very images of this run, these count once, and what the
   * float model gave then is taken from the file beside it.
   */
  readonly stats?: readonly string[];
  /**
   * Path of a file to write the statistics to that ranges were chosen on. What the float model gave is written beside
   * it, with `.runs` to its name.
   */
  readonly saveStats?: string;
  /**
   * Whether what each stage gives is kept in a file beside the output, with `.resume` to its name, until all is done:
   * where a killed run left such a file, this one goes on from there, and gives the same bytes.
   */
  readonly resume?: boolean;
  /** Path of a report to write: a page where it ends in `.html`, else JSON. */
  readonly report?: string;
  /** What the files beside the model say otherwise, or not at all. */
  readonly preprocess?: RecipeFlags;
  /** Names of the model's outputs to take; default: all. */
  readonly outputs?: readonly string[];
  /** Labels file: text, or JSON with `id2label`; default: `config.json` beside the model. */
  readonly labels?: string;
  /** Default: all cores. */
  readonly threads?: number;
  /** Something the user should know: assumptions, skipped images. */
  readonly onNotice?: (notice: string) => void;
}

/** `import`: the float model is read; `recipe`: trials of the usual pre-processing, where nothing says it. */
export type QuantizeStage = 'import' | 'recipe' | 'images' | FitStage | 'report';

export interface ReportRequest extends LongWork<'compare'> {
  /** The float ONNX model that the `.ivit` file was made from. */
  readonly float: string;
  /** Folder or list of images that the model was not fitted to. */
  readonly images: string;
  /** Path of the report: a page where it ends in `.html`, else JSON. */
  readonly output: string;
  /** Only so many images, drawn at random with a fixed seed. */
  readonly limit?: number;
  /** Default: all cores. */
  readonly threads?: number;
  readonly onNotice?: (notice: string) => void;
}

export interface CompareRequest
  extends
    Pick<QuantizeRequest, 'numImages' | 'preprocess' | 'outputs' | 'labels' | 'threads' | 'onNotice'>,
    LongWork<CompareStage> {
  /** Calibration images, as of `quantize`. */
  readonly images: string;
  /** What all are measured on, as of `evaluate`. */
  readonly dataset: string;
  readonly classMap?: string;
  readonly limit?: number;
  readonly exif?: ExifMode;
  /** Kernel sets; default: all. */
  readonly kernels?: readonly KernelSet[];
  /** Default: static alone. Kernels that do not go with one of them are left out with it. */
  readonly scales?: readonly ScaleMode[];
  /** Efforts; default: normal alone. */
  readonly efforts?: readonly Effort[];
  /** Path of a file to write: its ending tells the format, `.html`, `.md`, `.csv` or `.json`. */
  readonly output?: string;
  /** Folder to keep the quantized models in. */
  readonly keep?: string;
  /**
   * Whether each form, once it is quantized, is kept in a file beside the output, with `.resume` to its name, until all
   * is done: a run that was killed goes on from there.
   */
  readonly resume?: boolean;
  /** Rounds of timing; in each, every form gets a turn. Default: 20. */
  readonly rounds?: number;
  /** Called with what is to be done, once that is known. */
  readonly onPlan?: (plan: ComparePlan) => void;
  /** Called with the name of each form before it is quantized. */
  readonly onForm?: (name: string) => void;
}

export interface ComparePlan {
  /** In the order in which they are quantized. */
  readonly forms: readonly { readonly name: string; readonly effort: Effort }[];
  /** How many images all are measured on. */
  readonly images: number;
}

export type CompareStage = QuantizeStage | 'evaluate' | 'functions' | 'time';

export interface EvaluateRequest extends LongWork<'evaluate'> {
  /**
   * Folder of class folders, folder with a label file, label file, or files that hold images and classes (README); with
   * `float` any images.
   */
  readonly dataset: string;
  /** File of the dataset's names of classes, in the model's order, where the model's own labels do not fit. */
  readonly classMap?: string;
  /** The float ONNX model to compare with, image by image, or its logits as `saveFloat` kept them. */
  readonly float?: string;
  /** Path of a file to write the float model's logits to. */
  readonly saveFloat?: string;
  /** Only the first so many images, spread evenly over the dataset. */
  readonly limit?: number;
  /** Only one part of these; `mergeEvaluations` puts the parts together. */
  readonly shard?: Shard;
  /** Path of a file to write what is found to, image by image: a part. */
  readonly out?: string;
  /** Whether to go on with what a killed run left of `out`. */
  readonly resume?: boolean;
  readonly onNotice?: (notice: string) => void;
  /** Whether images are turned by their EXIF orientation; default: `ignore`, as Python's datasets do. */
  readonly exif?: ExifMode;
  /** Called for each image, in the dataset's order. */
  readonly onImage?: (image: EvaluatedImage) => void;
  /** Called with what is found on each image, in the dataset's order; of resumed runs also what was found before. */
  readonly onRow?: (row: Row) => void;
}

export interface EvaluatedImage {
  readonly path: string;
  /** Null where the dataset has no classes; a list where images may have several. */
  readonly label: RowLabel;
  /** The scores of the classes; all numbers of a model that has none. */
  readonly logits: Int32Array;
  /** The float model's first class, where there is a float model and there are classes. */
  readonly floatPrediction?: number;
}
