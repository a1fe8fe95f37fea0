import { collect, type Collected } from '../calibrate/collect.js';
import { openProducts } from '../calibrate/products.js';
import { ChannelStatistics } from '../calibrate/statistics.js';
import { createOpRunner } from '../engine/runner.js';
import { InputError } from '../errors.js';
import type { Graph, GraphNode } from '../graph/types.js';
import type { Program } from '../program/types.js';
import { agreementOf, type Agreement } from '../metrics/agreement.js';
import { EFFORT_SETTINGS, sequenceSettings } from './effort.js';
import { checkLayerBits } from './decide/layer-bits.js';
import type { QuantizeOptions } from './options.js';
import { separateOutputRows } from './output-rows.js';
import { planGraph, type Plan } from './plan.js';
import type { AttentionReport, LayerReport } from './report.js';
import { chooseSamples, type SampleRows } from './fit/samples.js';
import { quantizeSequentially } from './build/sequence.js';
import {
  chooseSensitive,
  measureSensitivities,
  NOTHING_MEASURED,
  NOTHING_SENSITIVE,
  type Sensitivities,
} from './decide/sensitivity.js';
import type { SequenceSettings } from './settings.js';
import { ValueScales } from './decide/value-scales.js';

export type { Agreement } from '../metrics/agreement.js';
export { EFFORT_SETTINGS, sequenceSettings } from './effort.js';
export type { SequenceSettings } from './settings.js';
export { isPoor, worstLayers, type AttentionReport, type LayerReport } from './report.js';
export { EFFORTS, KERNEL_SETS, SCALE_MODES, type LayerBits, type QuantizeOptions } from './options.js';
export { METHODS } from './decide/ranges.js';

export interface QuantizeRequest {
  readonly graph: Graph;
  /** u8 HWC pixels of each calibration image, of the graph's input size; a share of them is held out. */
  readonly images: readonly Uint8Array[];
  /** Whether they are made up. */
  readonly synthetic?: boolean;
  /** Of the float model's input: (p/255 − mean)/std, per channel. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly options: QuantizeOptions;
  /** Statistics of `observedNodes` gathered before, with histograms; ranges are chosen on them too. */
  readonly statistics?: ReadonlyMap<string, ChannelStatistics>;
  /** False: ranges are chosen on `statistics` alone, the images serve for all else. */
  readonly observeImages?: boolean;
  /** Whether to gather histograms even where the range method needs none. */
  readonly histograms?: boolean;
  /** Threads for the float model; default 1. */
  readonly threads?: number;
  readonly onProgress?: (stage: FitStage, done: number, total: number) => void;
}

export type FitStage = 'calibrate' | 'sensitivity' | 'quantize';

export interface QuantizeResult {
  readonly program: Program;
  /** Real value of one unit of the program's output: for showing probabilities only. */
  readonly outputScale: number;
  readonly layers: readonly LayerReport[];
  /** None with the published kernels. */
  readonly attentions: readonly AttentionReport[];
  /** Against the float model, on the images held out. */
  readonly agreement: Agreement;
  /** Images that the model was fitted to. */
  readonly fittedImages: number;
  /** What the ranges were chosen on. */
  readonly statistics: ReadonlyMap<string, ChannelStatistics>;
  readonly runtime: string;
}

export const DEFAULT_OPTIONS: QuantizeOptions = {
  kernels: 'shift',
  scales: 'static',
  method: 'minmax',
  effort: 'normal',
  weightBits: 8,
  layerBits: [],
};

/** The nodes whose values calibration observes, whatever the options. */
export function observedNodes(graph: Graph): GraphNode[] {
  return valuesOf(separateOutputRows(graph).graph);
}

/** The nodes whose values images change. */
function valuesOf(graph: Graph): GraphNode[] {
  return graph.nodes.filter((node) => node.op !== 'constant');
}

/**
 * Quantizes a float graph to an integer program.
 *
 * @throws InputError where there are too few images, or a layer cannot be expressed in integers; UsageError for options that
 * exclude each other
 */
export async function quantizeGraph(request: QuantizeRequest): Promise<QuantizeResult> {
  if (request.images.length < 2) {
    throw new InputError(`${request.images.length} calibration image(s): at least 2 are needed, 64 or more advised`);
  }
  const settings = sequenceSettings(request.options, request.synthetic);
  checkLayerBits(separateOutputRows(request.graph).graph, request.options.layerBits);
  const calibration = await calibrate(request, holdOut(request.images));
  try {
    return await fitCalibrated(request, calibration, settings);
  } finally {
    calibration.collected.samples.close();
  }
}

/** Images to fit to, then those that are held out: nothing is fitted to images from `fitImages` on. */
export interface SplitImages {
  readonly images: readonly Uint8Array[];
  readonly fitImages: number;
}

/** The float pass over the images, which any number of fits can share. */
export interface Calibration extends SplitImages {
  /** What is quantized: the model's graph, with output rows apart where the kernels are ours. */
  readonly graph: Graph;
  /** Linear layers that share the weights of another, by id. */
  readonly twins: ReadonlyMap<string, string>;
  readonly plan: Plan;
  readonly samples: SampleRows;
  /** Its statistics include the constants'. */
  readonly collected: Collected;
  readonly observed: ReadonlyMap<string, ChannelStatistics>;
}

/** Runs the float model over the images, once. The caller closes the samples that it collects. */
export async function calibrate(request: QuantizeRequest, { images, fitImages }: SplitImages): Promise<Calibration> {
  const { mean, std, options, statistics: given } = request;
  const separated = separateOutputRows(request.graph);
  const { graph, twins } =
    options.kernels === 'paper' ? { graph: request.graph, twins: new Map<string, string>() } : separated;
  const plan = planGraph(graph, options.scales === 'dynamic');
  const samples = chooseSamples(graph, plan, twins, EFFORT_SETTINGS[options.effort].rowsPerImage);
  const collected = await collect({
    graph: separated.graph,
    images,
    mean,
    std,
    statistics: new Set(valuesOf(separated.graph).map((node) => node.id)),
    statisticsImages: request.observeImages === false ? 0 : fitImages,
    histograms:
      request.histograms === true ||
      given !== undefined ||
      (options.method !== 'minmax' && options.method !== 'momentum'),
    samples: samples.wanted,
    threads: request.threads ?? 1,
    onProgress: (done, total) => request.onProgress?.('calibrate', done, total),
  });
  for (const [id, statistics] of given ?? []) collected.statistics.get(id)!.merge(statistics);
  const { statistics } = collected;
  return {
    images,
    fitImages,
    graph,
    twins,
    plan,
    samples,
    collected: { ...collected, statistics: withConstants(graph, statistics) },
    observed: statistics,
  };
}

/** Adds the statistics of constants, which no image changes. */
function withConstants(
  graph: Graph,
  statistics: ReadonlyMap<string, ChannelStatistics>,
): Map<string, ChannelStatistics> {
  const all = new Map(statistics);
  for (const node of graph.nodes) {
    if (node.op !== 'constant') continue;
    const constant = new ChannelStatistics(node.cols);
    constant.observe(node.value);
    all.set(node.id, constant);
  }
  return all;
}

/** Builds the integer program from calibration data, and compares it with the float model on the images held out. */
export async function fitCalibrated(
  request: QuantizeRequest,
  calibration: Calibration,
  settings: SequenceSettings,
): Promise<QuantizeResult> {
  const { mean, std } = request;
  const { collected, fitImages } = calibration;
  const sensitivities = await sensitivitiesOf(request, calibration, settings);
  const sensitive = chooseSensitive(sensitivities, settings.sensitiveWork);
  const scales = new ValueScales({ ...calibration, statistics: collected.statistics, settings, sensitive });
  const runner = await createOpRunner();
  const products = await openProducts(request.threads ?? 1);
  try {
    const { program, outputScale, outputs, layers, attentions } = await quantizeSequentially({
      ...calibration,
      mean,
      std,
      runner,
      products,
      settings,
      scales,
      sensitivities,
      onProgress: (done, total) => request.onProgress?.('quantize', done, total),
    });
    const agreement = agreementOf(
      collected.logits.slice(fitImages),
      outputs.slice(fitImages).map((output) => Float64Array.from(output, (v) => v * outputScale)),
    );
    return {
      program,
      outputScale,
      layers,
      attentions,
      agreement,
      fittedImages: fitImages,
      statistics: calibration.observed,
      runtime: collected.runtime,
    };
  } finally {
    await products.close();
    runner.close();
  }
}

/** What too few bits of inputs, weights and softmax weights do to the logits, where it matters which are the worst. */
async function sensitivitiesOf(
  request: QuantizeRequest,
  calibration: Calibration,
  settings: SequenceSettings,
): Promise<Sensitivities> {
  if (settings.sensitiveWork === 0) return NOTHING_MEASURED;
  const { mean, std, threads = 1, onProgress } = request;
  const { images, fitImages, collected } = calibration;
  return measureSensitivities({
    ...calibration,
    statistics: collected.statistics,
    settings,
    scales: new ValueScales({
      ...calibration,
      statistics: collected.statistics,
      settings,
      sensitive: NOTHING_SENSITIVE,
    }),
    images: images.slice(0, fitImages),
    runs: EFFORT_SETTINGS[settings.options.effort].sensitivityRuns,
    mean,
    std,
    threads,
    onProgress: (done, total) => onProgress?.('sensitivity', done, total),
  });
}

/** One image in so many is held out. */
const HOLD_OUT = 8;

/**
 * Moves every eighth image to the end: neighbours are often of one class, so a run of them would be a poor sample. Fewer
 * than eight are too few to spare one: they serve for both, and the agreement says what the fit reached.
 */
function holdOut(images: readonly Uint8Array[]): { images: Uint8Array[]; fitImages: number } {
  if (images.length < HOLD_OUT) return { images: [...images, ...images], fitImages: images.length };
  const isHeld = (i: number) => i % HOLD_OUT === HOLD_OUT - 1;
  const fitted = images.filter((_, i) => !isHeld(i));
  return { images: [...fitted, ...images.filter((_, i) => isHeld(i))], fitImages: fitted.length };
}
