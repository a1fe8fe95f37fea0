import { ownerOf } from '../plan/queries.js';
import { fitLinear, type Fit, type FitProblem } from '../fit/linear.js';
import { keptOr } from '../stages.js';
import { productWithMean, type WeightPlane } from '../fit/weight-rounding.js';
import type { ProgramContext } from './program-context.js';
import { timesVector } from '../fit/linalg.js';
import type { Wanted } from '../fit/output-errors.js';
import { sampleWanted, type Layer, type SampledInputs } from './layer-samples.js';
import type { Built } from './program-builder.js';

/** What a layer with tied weights takes over. */
interface Owned {
  readonly fit: Fit;
  readonly input: Built;
  /** See `SampledInputs`. */
  readonly unit: number;
}

const NOTHING_WANTED: Wanted = { outputs: new Float32Array(0) };

/** The mean error of so many rows is taken to be half chance. */
const ROWS_IN_DOUBT = 32;

/** The fits of linear layers, one after the other: layers with tied weights share one. */
export class LinearFits {
  /** By the id of the layer. */
  private readonly owned = new Map<string, Owned>();

  /** Fits a layer to the integers that it will get. */
  async fit(layer: Layer, sampled: SampledInputs, context: ProgramContext): Promise<Fit> {
    const { node, input } = layer;
    const { scheme, products, encodings, calibration } = context.request;
    const options = { ...scheme.techniques.fit, weightBits: encodings.bits.weights(node) };
    const wanted = options.correctsBias ? sampleWanted(layer, sampled, context) : NOTHING_WANTED;
    const problem = { ...sampled, ...floatWeights(layer, sampled.unit), wanted };
    const owner = ownerOf(calibration.plan, node);
    const owned = owner === null ? undefined : this.owned.get(owner.id);
    const planes = encodings.bits.weightPlanes(node);
    const use = planes > 1 ? 'own' : this.isTiedInPlanes(node.id, context) ? 'shared' : 'none';
    const fit =
      owned === undefined
        ? await keptOr(calibration.stages, `fit of ${node.id}`, () => fitLinear(problem, products, options, use))
        : refitBias(owned, input.scale, problem, planes);
    this.owned.set(node.id, { fit, input, unit: sampled.unit });
    return fit;
  }

  /** Whether a layer that is tied to this one's weights has a residual weight plane. */
  private isTiedInPlanes(id: string, { request }: ProgramContext): boolean {
    const { calibration, encodings } = request;
    return calibration.graph.nodes.some(
      (node) => node.op === 'linear' && node.weightsOf === id && encodings.bits.weightPlanes(node) > 1,
    );
  }
}

/** The float weights and bias for inputs in units of the integers. */
function floatWeights({ node, input }: Layer, unit: number): Pick<FitProblem, 'weight' | 'bias'> {
  const { cols: N, inFeatures: K } = node;
  const weight = new Float64Array(N * K);
  const bias = Float64Array.from(node.bias);
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      weight[n * K + k] = node.weight[n * K + k] * input.scale[k] * unit;
      bias[n] += node.weight[n * K + k] * input.center[k];
    }
  }
  return { weight, bias };
}

/**
 * Weights taken over from a layer whose input scales are in the same proportions, with the bias that leaves no mean
 * error on the rows given, as far as these are enough to tell.
 *
 * @param inputScale [K]
 */
function refitBias(
  { fit, input, unit }: Owned,
  inputScale: Float64Array,
  { x, wanted, weight, bias: floatBias }: FitProblem,
  planes: number,
): Fit {
  const K = inputScale.length;
  const rows = x.length / K;
  const rescaled = ({ scale, ...plane }: WeightPlane): WeightPlane => ({
    ...plane,
    scale: scale.map((s) => (s * inputScale[0]) / input.scale[0] / unit),
  });
  const first = rescaled(fit);
  const residualPlane = planes > 1 ? rescaled(fit.residualPlane!) : null;
  const meanWanted =
    'inputs' in wanted
      ? timesVector(weight, meanOf(wanted.inputs, K)).map((m, n) => m + floatBias[n])
      : meanOf(wanted.outputs, fit.scale.length);
  const meanOutput = productWithMean(residualPlane === null ? [first] : [first, residualPlane], meanOf(x, K));
  const bias = fit.bias.map((b, n) => b + ((meanWanted[n] - meanOutput[n] - b) * rows) / (rows + ROWS_IN_DOUBT));
  return { ...first, residualPlane, bias, ridge: null, heldOutError: null };
}

/** The mean of rows of `width`. */
function meanOf(rows: Float32Array, width: number): Float64Array {
  const mean = new Float64Array(width);
  const count = rows.length / width;
  for (let i = 0; i < rows.length;) for (let c = 0; c < width; c++, i++) mean[c] += rows[i] / count;
  return mean;
}
