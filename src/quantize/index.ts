import { openProducts } from '../calibrate/products.js';
import { returnFreeMemory } from '../engine/free-memory.js';
import { createOpRunner } from '../engine/runner.js';
import { InputError } from '../errors.js';
import { macsOfGraph } from '../graph/describe.js';
import type { Graph } from '../graph/types.js';
import { compareOutputs } from './compare-outputs.js';
import { buildProgram } from './build/sequence.js';
import { calibrate, holdOut, type Shared } from './calibration.js';
import type { Calibration, Quantization } from './context.js';
import { NOTHING_SENSITIVE, type Sensitive } from './decide/bit-widths.js';
import { chooseSensitive } from './decide/choose-bits.js';
import { askedWeightBits, checkLayerBits, WEIGHT_LAYERS } from './decide/layer-bits.js';
import { NOTHING_MEASURED, measureSensitivities, type Sensitivities } from './decide/sensitivity.js';
import { errorOf } from './decide/share-bits.js';
import { ValueEncodings } from './decide/value-encodings.js';
import { EFFORT_SETTINGS } from './effort.js';
import { attentionAsProducts, deservesFiner, everythingSensitive, finerScheme, nearer } from './finer.js';
import { FloatPasses } from './float-passes.js';
import type { QuantizeOptions } from './options.js';
import { separateOutputRows } from './output-rows.js';
import type { QuantizeRequest, QuantizeResult } from './request.js';
import { resolveScheme, type Scheme } from './schemes/index.js';
import { keptOr, named } from './stages.js';
import { buildToTarget, checkTarget } from './target.js';

export type { Agreement } from '../metrics/agreement.js';
export { calibrate, holdOut, observedNodes } from './calibration.js';
export { addedRows } from './output-rows.js';
export { EFFORT_SETTINGS } from './effort.js';
export { FloatPasses } from './float-passes.js';
export type { FunctionOp } from './functions.js';
export { METHODS } from './decide/ranges.js';
export { DEFAULT_OPTIONS, EFFORTS, KERNEL_SETS, SCALE_MODES, WEIGHT_BITS } from './options.js';
export type {
  Effort,
  KernelSet,
  LayerBits,
  PatternBits,
  QuantizeOptions,
  ScaleMode,
  Target,
  WeightBits,
} from './options.js';
export { isPoor, worstLayers, type AttentionReport, type LayerReport } from './report.js';
export type { FitStage, GivenStatistics, QuantizeRequest, QuantizeResult } from './request.js';
export { resolveScheme, type Scheme } from './schemes/index.js';
export type { FloatRuns, Shared } from './calibration.js';
export { digestOf } from './digest.js';
export type { Stages } from './stages.js';
export type { Techniques } from './techniques.js';

/**
 * Checks that options fit a graph.
 *
 * @throws InputError for bits of layers that it does not have, and a target that does not suit it
 */
export function checkLayers(graph: Graph, options: QuantizeOptions): void {
  const { layerBits, layerWeightBits } = options;
  const separated = separateOutputRows(graph);
  checkLayerBits(separated, layerBits, ['linear']);
  checkLayerBits(separated, layerWeightBits, WEIGHT_LAYERS);
  checkTarget(separated, options);
}

/**
 * Quantizes a float graph to an integer program.
 *
 * @param shared what it has in common with others, or with a run that was killed
 * @throws InputError where there are too few images, or a layer cannot be expressed in integers; UsageError for options
 * that exclude each other
 */
export async function quantizeGraph(request: QuantizeRequest, shared: Shared = {}): Promise<QuantizeResult> {
  const { graph, images, options, synthetic } = request;
  if (images.length < 2)
    throw new InputError(`${images.length} calibration image(s): at least 2 are needed, 64 or more advised`, {
      code: 'BAD_DATASET',
    });
  const scheme = resolveScheme(options, synthetic);
  checkLayers(graph, options);
  const passes = shared.passes ?? new FloatPasses();
  try {
    const calibration = await calibrate(request, holdOut(images), scheme, { ...shared, passes });
    returnFreeMemory();
    const built = await fitCalibrated(request, calibration, scheme, shared.sizeOf);
    if (!deservesFiner(graph, scheme, built)) return built;
    return await withFinestSteps(request, finerScheme(scheme), built);
  } finally {
    if (shared.passes === undefined) await passes.close();
  }
}

/**
 * A result that more bits everywhere else did not mend, or one where attention's operands have more bits too, and all
 * values of 16 bits finer steps.
 */
async function withFinestSteps(
  request: QuantizeRequest,
  scheme: Scheme,
  built: QuantizeResult,
): Promise<QuantizeResult> {
  if (request.statistics?.given !== undefined) return built;
  const hasAttention = request.graph.nodes.some(({ op }) => op === 'attention');
  const graph = attentionAsProducts(request.graph, request.images.length);
  const passes = new FloatPasses();
  try {
    const calibration = await calibrate({ ...request, graph }, holdOut(request.images), scheme, { passes });
    const products = await openProducts(calibration.threads);
    try {
      const encodings = new ValueEncodings(calibration, scheme, allSensitive(calibration, scheme));
      const quantization = { calibration, scheme, encodings, products };
      const finest = await build(quantization, NOTHING_MEASURED, request);
      const { statistics, floatLogits } = built;
      return nearer(built, { ...finest, statistics, floatLogits }, `${hasAttention ? 'attention' : 'every value'} has`);
    } finally {
      await products.close();
    }
  } finally {
    await passes.close();
  }
}

const allSensitive = ({ graph }: Calibration, scheme: Scheme): Sensitive => ({
  ...everythingSensitive(graph),
  weightBits: askedWeightBits(graph, scheme.layerWeightBits),
});

/** Builds the integer program from calibration data, and compares it with the float model on the images held out. */
export async function fitCalibrated(
  request: QuantizeRequest,
  calibration: Calibration,
  scheme: Scheme,
  sizeOf?: Shared['sizeOf'],
): Promise<QuantizeResult> {
  const products = await openProducts(calibration.threads);
  try {
    const undecided = new ValueEncodings(calibration, scheme, NOTHING_SENSITIVE);
    const sensitivities = await measure({ calibration, scheme, encodings: undecided, products }, request);
    returnFreeMemory();
    const { sensitiveWork, poorWork } = scheme.techniques;
    const buildOf = (sensitive: Sensitive, errors: Sensitivities, own = calibration) => {
      const encodings = new ValueEncodings(own, scheme, sensitive);
      return build({ calibration: own, scheme, encodings, products }, errors, request);
    };
    const buildWith = (weightBits: ReadonlyMap<string, number>, errors: Sensitivities, own = calibration) =>
      buildOf({ ...chooseSensitive(errors, sensitiveWork, poorWork), weightBits }, errors, own);
    const { graph, stages } = calibration;
    const { target } = scheme;
    if (target === null) {
      const built = await buildWith(askedWeightBits(graph, scheme.layerWeightBits), sensitivities);
      if (!deservesFiner(graph, scheme, built)) return built;
      const own = { ...calibration, stages: named(stages, 'finer: ') };
      const finer = await buildOf(allSensitive(calibration, scheme), sensitivities, own);
      return nearer(built, finer, 'inputs and weights have');
    }
    const { widths: layers } = sensitivities;
    return await buildToTarget({
      ...{ graph, target, layers, sizeOf },
      build: (bits, attempt) =>
        buildWith(
          bits,
          { ...sensitivities, otherWeights: errorOf(layers, bits) },
          { ...calibration, stages: attempt === 1 ? stages : named(stages, `build ${attempt}: `) },
        ),
    });
  } finally {
    await products.close();
  }
}

/** What too few bits of inputs, weights and softmax weights do to the logits, where it matters which are the worst. */
async function measure(quantization: Quantization, { options, onProgress }: QuantizeRequest): Promise<Sensitivities> {
  const { techniques, target } = quantization.scheme;
  if (techniques.sensitiveWork === 0 && target === null) return NOTHING_MEASURED;
  const { sensitivityRuns, sensitivityMacs } = EFFORT_SETTINGS[options.effort];
  const { graph, stages } = quantization.calibration;
  // Layers that share bits are some half of the candidates then.
  const runs = Math.min(sensitivityRuns, sensitivityMacs / macsOfGraph(graph)) * (target === null ? 1 : 2);
  return keptOr(stages, 'sensitivities', () =>
    measureSensitivities(quantization, runs, (done, total) => onProgress?.('sensitivity', done, total)),
  );
}

async function build(
  quantization: Quantization,
  sensitivities: Sensitivities,
  { onProgress }: QuantizeRequest,
): Promise<QuantizeResult> {
  const { fitImages, collected, observed } = quantization.calibration;
  const runner = await createOpRunner();
  try {
    const { outputs, ...built } = await buildProgram({ ...quantization, sensitivities, runner }, (done, total) =>
      onProgress?.('quantize', done, total),
    );
    const held = outputs.slice(fitImages).map((values) => Float64Array.from(values, (v) => v * built.outputScale));
    return {
      ...built,
      ...compareOutputs(quantization.calibration.graph, collected.logits.slice(fitImages), held),
      floatLogits: collected.logits,
      fittedImages: fitImages,
      statistics: observed,
      runtime: collected.runtime,
      notices: [],
    };
  } finally {
    runner.close();
  }
}
