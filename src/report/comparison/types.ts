/** One float model in several forms, side by side. The tables and the page show these figures, and no others. */
import type { ComparisonFigures } from '../../metrics/comparison.js';
import type { Effort, KernelSet, ScaleMode } from '../../quantize/options.js';
import type { ProgramFunctionError } from '../function-errors.js';

export const COMPARISON_FORMATS = ['md', 'csv', 'json', 'html'] as const;
export type ComparisonFormat = (typeof COMPARISON_FORMATS)[number];

/** One form of the model. */
export interface ComparedModel {
  /** `float`, `int8 static` of ONNX Runtime; `shift static` of ivit. */
  readonly name: string;
  /** Null: ONNX Runtime's. */
  readonly settings: { readonly kernels: KernelSet; readonly scales: ScaleMode; readonly effort: Effort } | null;
  /** What ran it to be timed. */
  readonly engine: string;
  readonly integerOnly: boolean;
  /** Of its file. */
  readonly bytes: number;
  readonly figures: ComparisonFigures;
  /** Median of one image on one thread, and how many times as fast as the float model that is. */
  readonly latencyMs: number;
  readonly timesFloat: number;
  /** Its softmax, activations and norms, op by op; none of ONNX Runtime's forms. */
  readonly functions: readonly ProgramFunctionError[];
}

export interface ComparisonData {
  /** The float model's file, without its folder; first: a comparison in JSON is known by it. */
  readonly comparison: string;
  readonly command: string;
  readonly tool: string;
  readonly machine: string;
  readonly calibration: { readonly source: string; readonly images: number };
  readonly dataset: { readonly source: string; readonly images: number; readonly skipped: number };
  /** Images whose integers were looked at function by function. */
  readonly observedImages: number;
  readonly models: readonly ComparedModel[];
  readonly seconds: number;
}
