import type { Normalization } from '../calibrate/collect.js';
import type { ChannelStatistics } from '../calibrate/statistics.js';
import type { Graph } from '../graph/types.js';
import type { Agreement } from '../metrics/agreement.js';
import type { OutputAgreement } from '../metrics/similarity.js';
import type { Program } from '../program/types.js';
import type { QuantizeOptions } from './options.js';
import type { FunctionOp } from './functions.js';
import type { AttentionReport, LayerReport } from './report.js';

export interface QuantizeRequest {
  readonly graph: Graph;
  /** u8 HWC pixels of each calibration image, of the graph's input size; a share of them is held out. */
  readonly images: readonly Uint8Array[];
  /** Whether they are made up. */
  readonly synthetic?: boolean;
  readonly normalization: Normalization;
  readonly options: QuantizeOptions;
  readonly statistics?: GivenStatistics;
  /** Threads for the float model; default 1. */
  readonly threads?: number;
  readonly onProgress?: (stage: FitStage, done: number, total: number) => void;
}

/** Statistics beside those of the images. */
export interface GivenStatistics {
  /** Statistics of `observedNodes` gathered before, with histograms; ranges are chosen on them too. */
  readonly given?: ReadonlyMap<string, ChannelStatistics>;
  /** False: ranges are chosen on `given` alone, the images serve for all else. */
  readonly observeImages?: boolean;
  /** Whether to gather histograms even where the range method needs none. */
  readonly histograms?: boolean;
}

export type FitStage = 'calibrate' | 'sensitivity' | 'quantize';

export interface QuantizeResult {
  readonly program: Program;
  /** Real value of one unit of the program's output: for showing probabilities only. */
  readonly outputScale: number;
  readonly layers: readonly LayerReport[];
  /** None with the published kernels. */
  readonly attentions: readonly AttentionReport[];
  /** Softmax, activations and norms, as the program has them. */
  readonly functions: readonly FunctionOp[];
  /** Of the classes' scores, or all numbers where there are none, against the float model, on the images held out. */
  readonly agreement: Agreement;
  /** The float model's outputs for every image. */
  readonly floatLogits: readonly Float32Array[];
  /** The same, output by output. */
  readonly outputs: readonly OutputAgreement[];
  /** Names of outputs that are the same for every image held out: nothing can be said of them. */
  readonly constantOutputs: readonly string[];
  /** Images that the model was fitted to. */
  readonly fittedImages: number;
  /** What the ranges were chosen on. */
  readonly statistics: ReadonlyMap<string, ChannelStatistics>;
  readonly runtime: string;
  /** What was done beyond what was asked, for the user to know. */
  readonly notices: readonly string[];
}
