/** The fit of one linear layer: weights corrected, rounded, and the bias that leaves no mean error. */
import { centreRows } from '../../calibrate/numerics.js';
import type { Products } from '../../calibrate/products.js';
import { sumOf } from './linalg.js';
import { outputErrors, type Wanted } from './output-errors.js';
import { NO_CORRECTION, correctWeights, type Correction, type Grams } from './weight-correction.js';
import {
  productWithMean,
  roundCoded,
  roundInOrder,
  roundToNearest,
  roundingOrder,
  type WeightPlane,
} from './weight-rounding.js';

/** What a linear layer really sees on the calibration rows, and what it should give. */
export interface FitProblem {
  /** [rows, K]: the integer input less its zero point (for dynamic rows times the row's scale). */
  readonly x: Float32Array;
  readonly wanted: Wanted;
  /** [N, K] float weight for inputs in units of x. */
  readonly weight: Float64Array;
  /** [N]. */
  readonly bias: Float64Array;
  /** [rows]: importance of each. */
  readonly rowWeight: Float32Array;
  /** Rows from here on are of held-out images, on which the regularisation is chosen. */
  readonly heldFrom: number;
}

/** Quantized weights and bias of a linear layer. */
export interface Fit extends WeightPlane, Omit<Correction, 'delta'> {
  /**
   * The residual weight plane, for this layer or one tied to it: what quantization leaves of the weights; null: for
   * none.
   */
  readonly residualPlane: WeightPlane | null;
  /** [N]. */
  readonly bias: Float64Array;
}

export interface FitOptions {
  readonly weightBits: number;
  /** Ridge strengths of the weight correction to try; empty: no correction. */
  readonly ridges: readonly number[];
  /** GPTQ / LDLQ rounding instead of nearest. */
  readonly roundsInOrder: boolean;
  /** The bias makes up for the mean error; false: it stays as it is. */
  readonly correctsBias: boolean;
}

/** Who adds a residual weight plane to the product: no layer, one tied to these weights, or this one too. */
export type ResidualPlaneUse = 'none' | 'shared' | 'own';

/** Bits of a weight of the residual plane. */
export const RESIDUAL_PLANE_BITS = 4;

/** Weight correction and rounding in order need this many rows for each input channel, or they fit chance. */
const ROWS_PER_INPUT = 5;
/** Rows at which the mean error counts half. */
const ROWS_FOR_BIAS = 32;

/**
 * Fits one linear layer to what it really sees (`FitProblem`, whose rows are centred in place): the weights are
 * corrected (`correctWeights`), rounded one input channel at a time with each rounding error passed on to the channels
 * still to come (`roundInOrder`; where they have fewer than 8 bits `roundCoded`), what that leaves of them is rounded
 * once more where there is a residual plane, and the bias makes the mean error zero.
 */
export async function fitLinear(
  problem: FitProblem,
  products: Products,
  options: FitOptions,
  use: ResidualPlaneUse,
): Promise<Fit> {
  const { weight, rowWeight, heldFrom } = problem;
  const S = rowWeight.length;
  const K = problem.x.length / S;
  const N = problem.bias.length;
  if (!options.correctsBias) return roundedAsItIs(problem, K, options.weightBits);

  const { x } = problem;
  const meanX = centreRows(x, K, rowWeight);
  const errors = await outputErrors({ x, rowWeight, weight }, problem.wanted, problem.bias, products);
  const split = { train: { from: 0, to: heldFrom }, held: { from: heldFrom, to: S } };
  const grams = S >= ROWS_PER_INPUT * K ? await gramsOf(x, K, heldFrom, products) : null;
  const gram = grams?.all ?? null;
  const { delta, ridge, heldOutError } =
    options.ridges.length > 0 && grams !== null
      ? await correctWeights(grams, errors, split, options.ridges, products)
      : NO_CORRECTION;
  const corrected = delta === null ? weight : sumOf(weight, delta);

  const order = gram !== null && options.roundsInOrder ? roundingOrder(gram, K) : null;
  const round = (w: Float64Array, bits: number): WeightPlane =>
    order === null ? roundToNearest(w, N, K, bits) : roundInOrder(w, order, N, K, bits);
  const first =
    options.weightBits < 8
      ? await withBestScales(roundCoded(corrected, order, K, options.weightBits), corrected, gram, products)
      : round(corrected, options.weightBits);
  const residualPlane = use === 'none' ? null : round(leftOf(corrected, first), RESIDUAL_PLANE_BITS);
  // The mean error of a few rows is mostly chance: it counts in proportion.
  const trust = S / (S + ROWS_FOR_BIAS);
  const meanOutput = productWithMean(use === 'own' ? [first, residualPlane!] : [first], meanX);
  const bias = problem.bias.map((b, n) => b + trust * (errors.mean[n] - meanOutput[n]));
  return { ...first, residualPlane, bias, ridge, heldOutError };
}

/** What rounding leaves of weights [N, K]. */
function leftOf(weight: Float64Array, { quantized, scale }: WeightPlane): Float64Array {
  const left = new Float64Array(weight.length);
  const K = weight.length / scale.length;
  for (let n = 0, i = 0; n < scale.length; n++)
    for (let k = 0; k < K; k++, i++) left[i] = weight[i] - quantized[i] * scale[n];
  return left;
}

/** @param x [rows, K]: centred; held-out rows are those from `heldFrom` on */
async function gramsOf(x: Float32Array, K: number, heldFrom: number, products: Products): Promise<Grams> {
  const [first, last] = [x.subarray(0, heldFrom * K), x.subarray(heldFrom * K)];
  const train = await products.transposed(first, K, first, K);
  const held = await products.transposed(last, K, last, K);
  const all = new Float64Array(train);
  for (let i = 0; i < all.length; i++) all[i] += held[i];
  return { train, held, all };
}

/**
 * The row scales with which the rounded weights q of a layer leave the least error: (q·G·w)/(q·G·q), G being the Gram
 * matrix of its inputs.
 *
 * @param gram [K, K]; null: not known, the scales stay
 */
async function withBestScales(
  plane: WeightPlane,
  weight: Float64Array,
  gram: Float64Array | null,
  products: Products,
): Promise<WeightPlane> {
  if (gram === null) return plane;
  const N = plane.scale.length;
  const K = weight.length / N;
  const seen = await products.plain(Float32Array.from(plane.quantized), K, new Float32Array(gram), K);
  const scale = plane.scale.map((own, n) => {
    let [wanted, given] = [0, 0];
    for (let i = n * K; i < (n + 1) * K; i++) {
      wanted += seen[i] * weight[i];
      given += seen[i] * plane.quantized[i];
    }
    return given > 0 && wanted > 0 ? wanted / given : own;
  });
  return { ...plane, scale };
}

/** Weights rounded to nearest, the bias kept. */
function roundedAsItIs({ weight, bias }: FitProblem, K: number, weightBits: number): Fit {
  const plane = roundToNearest(weight, bias.length, K, weightBits);
  return { ...plane, residualPlane: null, bias, ridge: null, heldOutError: null };
}
