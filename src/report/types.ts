/** The figures of a report on an integer model beside its float model. The page shows these, and no others. */
import type { Interval } from '../metrics/interval.js';
import type { Latency, Quantiles } from '../metrics/quantiles.js';
import type { OutputAgreement } from '../metrics/similarity.js';
import type { AttentionReport, Extent, LayerReport } from '../quantize/report.js';

/** How near the decisions are, image by image. */
export interface Fidelity {
  readonly images: number;
  /** Share of images with the same first class, and its 95 % confidence interval (Wilson); null: no classes. */
  readonly top1Agreement: number | null;
  readonly interval: Interval | null;
  /** Over images, KL(softmax(float) ‖ softmax(integer)) in nats; null: no classes. */
  readonly kl: Divergences | null;
  /** 10·log10(Σ float² / Σ (float − integer)²), pooled, in dB. */
  readonly sqnrDb: number;
  readonly outputs: readonly OutputAgreement[];
}

export interface Divergences extends Quantiles {
  readonly mean: number;
  readonly max: number;
}

/** Counts of equal intervals from `from` on, each `step` wide. */
export interface Histogram {
  readonly from: number;
  readonly step: number;
  readonly counts: readonly number[];
}

/** Integers of one kind, and the ends of their type. */
export interface IntegerHistogram extends Histogram {
  readonly type: string;
  /** The least and greatest integer that the type holds; where values clip. */
  readonly ends: readonly [low: number, high: number];
  /** Share of the values that lie at one of the ends. */
  readonly atEnds: number;
}

/** The integers of one linear layer, as images and weights use them. */
export interface LayerIntegers {
  readonly name: string;
  readonly weights: IntegerHistogram;
  readonly inputs: IntegerHistogram;
  readonly outputs: IntegerHistogram;
}

/** An integer function beside the exact one, on the model's own data. */
export interface FunctionError {
  readonly name: string;
  /** The function as it is computed: `shift`, `quadratic`, `paper`, `ibert`; of activations their kind. */
  readonly kind: string;
  /** Mean and greatest distance: of softmax's probabilities, of an activation's values. */
  readonly meanError: number;
  readonly maxError: number;
  /** Ratio of the exact values' energy to that of the error, in dB. */
  readonly sqnrDb: number;
}

/** Points of a curve: the integer function and the exact one at x, and the share of the data near x. */
export interface Curve {
  readonly x: readonly number[];
  readonly integer: readonly number[];
  readonly exact: readonly number[];
  readonly share: readonly number[];
}

/** A class as one of the models ranks it. */
export interface Ranked {
  readonly index: number;
  readonly label: string | null;
  readonly probability: number;
}

/** An image as both models see it. */
export interface Example {
  readonly name: string;
  readonly kl: number;
  readonly float: readonly Ranked[];
  readonly integer: readonly Ranked[];
  /** The network's own pixels, small, as a data URI; null in the JSON form. */
  readonly thumbnail: string | null;
}

/** What images tell of a model. */
export interface Analysis {
  /** What the images are, in words. */
  readonly about: string;
  readonly fidelity: Fidelity;
  /** Images for which the two models decide differently, and where there are none those with the largest KL. */
  readonly disagreements: number;
  readonly examples: readonly Example[];
  /** How many images the integers and functions below were observed on. */
  readonly observedImages: number;
  readonly layers: readonly LayerIntegers[];
  readonly softmax: readonly FunctionError[];
  /** w(d)/w(0) beside 2^−d, d in octaves below the row's largest score; null: none, or the published kernels. */
  readonly softmaxCurve: Curve | null;
  readonly activations: readonly FunctionError[];
  readonly activationCurve: Curve | null;
  /** Of the integer model, image by image; null: not measured. */
  readonly speed: Speed | null;
}

export interface Speed {
  readonly latencyMs: Latency;
  readonly backend: string;
  readonly isa: string;
  readonly threads: number;
}

/** A layer's settings and error; what is known only while a model is quantized is null afterwards. */
export interface LayerFigures extends Omit<LayerReport, 'input' | 'output'> {
  readonly input: Omit<LayerReport['input'], 'scale'> & { readonly scale: Extent | null };
  readonly output: { readonly type: string; readonly scale: Extent | null };
}

/** What to do next, the most useful first. */
export interface Advice {
  /** `good`: nothing need be done; `gain`: an option brings something; `warning`: something is wrong. */
  readonly kind: 'good' | 'gain' | 'warning';
  readonly text: string;
  /** An option of `ivit quantize` that does it; null: none does. */
  readonly option: string | null;
}

/** All that a page shows. */
export interface ReportData {
  /** Path of the `.ivit` file. */
  readonly output: string;
  /** Command that repeats the report. */
  readonly command: string;
  readonly bytes: number;
  readonly floatBytes: number;
  readonly parameters: number;
  readonly classes: number;
  readonly source: string;
  readonly tool: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly calibration: { readonly images: number; readonly source: string };
  /** Whether the layers' sensitivities were measured: while a model is quantized they are. */
  readonly layers: readonly LayerFigures[];
  readonly attentions: readonly AttentionReport[];
  readonly analysis: Analysis;
  readonly advice: readonly Advice[];
}
