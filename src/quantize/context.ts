/** What the stages of one quantization have in common. */
import type { Collected, Normalization } from '../calibrate/collect.js';
import type { Products } from '../calibrate/products.js';
import type { ChannelStatistics } from '../calibrate/statistics.js';
import type { Graph } from '../graph/types.js';
import type { ValueEncodings } from './decide/value-encodings.js';
import type { SampleRows } from './fit/samples.js';
import type { Plan } from './plan/types.js';
import type { Scheme } from './schemes/scheme.js';
import type { Stages } from './stages.js';

/** The float model, and its pass over the images, which any number of fits can share. */
export interface Calibration {
  /** What is quantized: the model's graph, with output rows apart where the kernels have it so. */
  readonly graph: Graph;
  readonly plan: Plan;
  /** u8 HWC pixels. Nothing is fitted to those from `fitImages` on. */
  readonly images: readonly Uint8Array[];
  readonly fitImages: number;
  readonly normalization: Normalization;
  /** For the float model. */
  readonly threads: number;
  /** Which rows stand for each layer. */
  readonly samples: SampleRows;
  readonly collected: Collected;
  /** Of every value that images change. */
  readonly observed: ReadonlyMap<string, ChannelStatistics>;
  /** Of every value, constants included. */
  readonly statistics: ReadonlyMap<string, ChannelStatistics>;
  /** Where what the stages give is kept. */
  readonly stages: Stages;
  /** Errors of the outputs that the float model's runs told, of this quantization and others: see `FloatRuns`. */
  readonly errors: Map<string, number>;
}

/** A calibration, and what was decided on it. */
export interface Quantization {
  readonly calibration: Calibration;
  readonly scheme: Scheme;
  readonly encodings: ValueEncodings;
  readonly products: Products;
}
