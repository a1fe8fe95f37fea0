/** What quantizing a model tells. */
import type { OutputAgreement } from '../metrics/similarity.js';
import type { Agreement, AttentionReport, LayerReport } from '../quantize/index.js';
import type { RecipeProbe } from './probe-recipe.js';

export interface SkippedImage {
  readonly path: string;
  readonly reason: string;
}

export interface QuantizeSummary {
  /** Path of the file written. */
  readonly output: string;
  /** Its size, and that of the float model with its external data. */
  readonly bytes: number;
  readonly floatBytes: number;
  readonly parameters: number;
  /** As what the importer recognised the float model's ONNX nodes: kinds of canonical nodes, and how many of each. */
  readonly recognized: {
    readonly family: string;
    readonly operators: number;
    readonly kinds: Readonly<Record<string, number>>;
  };
  /** How many classes the model has; 0 where it gives features. */
  readonly classes: number;
  /** Images calibrated on, those held out included. */
  readonly images: number;
  /** True where they were made up. */
  readonly synthetic: boolean;
  readonly skipped: readonly SkippedImage[];
  /** Images of the folder that are of a kind that is not decoded: extension → how many. */
  readonly unread: Readonly<Record<string, number>>;
  /** The float model's normalization, and where it was found. */
  readonly normalization: {
    readonly mean: readonly number[];
    readonly std: readonly number[];
    readonly source: string;
  };
  /** What of the model was left out or taken off: optional inputs, other outputs, a softmax at the end. */
  readonly modelNotices: readonly string[];
  /** How the recipe was chosen, where nothing said it and images told; else null. */
  readonly recipeProbe: RecipeProbe | null;
  readonly seconds: number;
  /**
   * Of the classes' scores, or all numbers where there are none, against the float model, on calibration images that
   * nothing was fitted to.
   */
  readonly agreement: Agreement;
  /** The same, output by output. */
  readonly outputs: readonly OutputAgreement[];
  /** Names of outputs that the float model gives alike for every image held out: their agreement says nothing. */
  readonly constantOutputs: readonly string[];
  readonly layers: readonly LayerReport[];
  readonly attentions: readonly AttentionReport[];
  /** Which ONNX Runtime ran the float model. */
  readonly runtime: string;
}
