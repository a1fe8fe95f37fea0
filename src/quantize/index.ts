import { collect } from '../calibrate/collect.js';
import { openProducts } from '../calibrate/products.js';
import { createOpRunner } from '../engine/runner.js';
import { InputError } from '../errors.js';
import type { Graph } from '../graph/types.js';
import type { Program } from '../program/types.js';
import { agreementOf, type Agreement } from '../report/agreement.js';
import { EFFORT_SETTINGS, sequenceSettings } from './effort.js';
import { checkLayerBits } from './layer-bits.js';
import type { QuantizeOptions } from './options.js';
import { planGraph } from './plan.js';
import type { LayerReport } from './report.js';
import { chooseSamples } from './samples.js';
import { quantizeSequentially } from './sequence.js';

export type { Agreement } from '../report/agreement.js';
export { EFFORT_SETTINGS } from './effort.js';
export { isPoor, worstLayers, type LayerReport } from './report.js';
export { EFFORTS, KERNEL_SETS, SCALE_MODES, type Effort, type KernelSet, type LayerBits, type QuantizeOptions, type ScaleMode } from './options.js';
export { METHODS, type RangeMethod } from './ranges.js';

export interface QuantizeRequest {
  readonly graph: Graph;
  /** u8 HWC pixels of each calibration image, of the graph's input size; a share of them is held out. */
  readonly images: readonly Uint8Array[];
  /** Of the float model's input: (p/255 − mean)/std, per channel. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly options: QuantizeOptions;
  /** Threads for the float model; default 1. */
  readonly threads?: number;
  readonly onProgress?: (stage: 'calibrate' | 'quantize', done: number, total: number) => void;
}

export interface QuantizeResult {
  readonly program: Program;
  /** Real value of one unit of the program's output: for showing probabilities only. */
  readonly outputScale: number;
  readonly layers: readonly LayerReport[];
  /** Against the float model, on the images held out. */
  readonly agreement: Agreement;
  /** Images that the model was fitted to. */
  readonly fittedImages: number;
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

/**
 * Quantizes a float graph to an integer program.
 *
 * @throws InputError where there are too few images, or a layer cannot be expressed in integers
 */
export async function quantizeGraph(request: QuantizeRequest): Promise<QuantizeResult> {
  const { graph, mean, std, options } = request;
  if (request.images.length < 2) {
    throw new InputError(`${request.images.length} calibration image(s): at least 2 are needed, 64 or more advised`);
  }
  checkLayerBits(graph, options.layerBits);
  const { images, fitImages } = holdOut(request.images);
  const plan = planGraph(graph, options.scales === 'dynamic');
  const samples = chooseSamples(graph, plan, EFFORT_SETTINGS[options.effort].rowsPerImage);
  const threads = request.threads ?? 1;
  const collected = await collect({
    graph,
    images,
    mean,
    std,
    statistics: new Set(graph.nodes.filter((node) => node.op !== 'constant').map((node) => node.id)),
    statisticsImages: fitImages,
    histograms: options.method !== 'minmax' && options.method !== 'momentum',
    samples: samples.wanted,
    threads,
    onProgress: (done, total) => request.onProgress?.('calibrate', done, total),
  });
  const runner = await createOpRunner();
  const products = await openProducts(threads);
  try {
    const { program, outputScale, outputs, layers } = await quantizeSequentially({
      graph,
      plan,
      collected,
      images,
      fitImages,
      mean,
      std,
      samples,
      runner,
      products,
      settings: sequenceSettings(options),
      onProgress: (done, total) => request.onProgress?.('quantize', done, total),
    });
    const agreement = agreementOf(
      collected.logits.slice(fitImages),
      outputs.slice(fitImages).map((output) => Float64Array.from(output, (v) => v * outputScale)),
    );
    return { program, outputScale, layers, agreement, fittedImages: fitImages, runtime: collected.runtime };
  } finally {
    await products.close();
    runner.close();
  }
}

/** Moves every eighth image to the end: neighbours are often of one class, so a run of them would be a poor sample. */
function holdOut(images: readonly Uint8Array[]): { images: Uint8Array[]; fitImages: number } {
  const stride = Math.min(8, images.length);
  const isHeld = (i: number) => i % stride === stride - 1;
  const fitted = images.filter((_, i) => !isHeld(i));
  return { images: [...fitted, ...images.filter((_, i) => isHeld(i))], fitImages: fitted.length };
}
