import type { Products } from '../../calibrate/products.js';
import { cholesky, invertLower } from './linalg.js';

/** What a linear layer really sees on the calibration rows, and what it should give. */
export interface FitProblem {
  /** [rows, K]: the integer input, code − zero (for dynamic rows times the row's scale). */
  readonly x: Float32Array;
  /** [rows, N]: the wanted output, real values. */
  readonly target: Float32Array;
  /** [N, K] float weight for inputs in units of x. */
  readonly weight: Float64Array;
  readonly bias: Float64Array;
  /** Importance of each row. */
  readonly rowWeight: Float32Array;
  /** 1 for rows of held-out images, on which the regularisation is chosen. */
  readonly heldOut: Uint8Array;
}

/** Weights as codes. */
export interface WeightPlane {
  readonly bits: number;
  /** [N, K] in ±limit. */
  readonly codes: Int8Array;
  /** Real value of one code step, per output channel. */
  readonly scale: Float64Array;
}

export interface Fit extends WeightPlane {
  /** What the codes leave of the weights, in codes again: for this layer or one that shares its weights; null: for none. */
  readonly second: WeightPlane | null;
  readonly bias: Float64Array;
  /** The ridge strength chosen; null where the float weights were kept. */
  readonly ridge: number | null;
  /**
   * Squared error on the held-out rows as a share of the wanted output's energy, with the float weights and with the
   * best of the ridge strengths, weights not rounded; null where there was no compensation to try.
   */
  readonly heldOutError: { readonly before: number; readonly after: number } | null;
}

export interface FitOptions {
  readonly weightBits: number;
  /** Ridge strengths to try, as shares of the Gram matrix's diagonal; empty: no compensation. */
  readonly ridges: readonly number[];
  /** Second-order rounding instead of nearest. */
  readonly secondOrder: boolean;
}

/** Who adds a second plane of weights to the first one's product: no layer, one that shares these weights, or this one too. */
export type SecondPlaneUse = 'none' | 'shared' | 'own';

/** Bits of a code of the second plane. */
export const SECOND_PLANE_BITS = 4;

/** Share of the diagonal added before factoring, so that dead channels and rounding don't break it. */
const DAMPING = 1e-3;

/** Compensation and second-order rounding need this many rows for each input channel, or they fit chance. */
const ROWS_PER_INPUT = 5;
/** Output channels that are rounded together, so that a row of the factor is read from near memory. */
const ROWS_AT_ONCE = 16;
/** Rows at which the mean error counts half. */
const ROWS_FOR_BIAS = 32;

/**
 * Closed-form compensation and rounding of one linear layer. With centred inputs X and residual E = T − X·Wᵀ of the
 * float weights, the ridge solution ΔWᵀ = (XᵀX + λ·diag(XᵀX))⁻¹XᵀE makes up for the error that the inputs carry;
 * λ is the one that leaves the least error on the held-out rows, and W stays as it is where none helps. The weights are
 * then rounded one input channel at a time, the rounding error of each passed on to the channels still to come (LDLQ,
 * Chee et al. 2023, the same as GPTQ), what that leaves of them rounded once more where there is a second plane, and the
 * bias makes the mean error zero.
 */
export async function fitLinear(
  problem: FitProblem,
  products: Products,
  options: FitOptions,
  use: SecondPlaneUse,
): Promise<Fit> {
  const { weight, rowWeight, heldOut } = problem;
  const S = rowWeight.length;
  const K = problem.x.length / S;
  const N = problem.bias.length;

  const { centred: x, mean: meanX } = centre(problem.x, K, rowWeight);
  const { centred: target, mean: meanT } = centre(problem.target, N, rowWeight);
  const gramOf = async (a: Float32Array) => new Float64Array(await products.transposed(a, K, a, K));

  const predicted = await products.plain(x, K, transposeToFloat32(weight, N, K), N);
  const residual = target.map((t, i) => t - predicted[i]);

  let corrected = weight;
  let ridge: number | null = null;
  let heldOutError: Fit['heldOutError'] = null;
  const gram = S >= ROWS_PER_INPUT * K ? await gramOf(x) : null;
  if (options.ridges.length > 0 && gram !== null) {
    const held = split(x, residual, K, N, heldOut, 1);
    const train = split(x, residual, K, N, heldOut, 0);
    const gramHeld32 = await products.transposed(held.x, K, held.x, K);
    const gramHeld = new Float64Array(gramHeld32);
    const crossHeld = await products.transposed(held.residual, N, held.x, K);
    const gramTrain = gram.map((v, i) => v - gramHeld[i]);
    const crossTrain = await products.transposed(train.residual, N, train.x, K);
    let least = 0;
    for (const candidate of options.ridges) {
      const delta = await ridgeSolution(gramTrain, crossTrain, K, candidate, products);
      if (delta === null) continue;
      const change = errorChange(delta, await products.plain(delta, K, gramHeld32, K), crossHeld);
      if (change < least) {
        least = change;
        ridge = candidate;
      }
    }
    const before = sumOfSquares(held.residual);
    const energy = heldEnergy(target, N, heldOut);
    if (energy > 0) heldOutError = { before: before / energy, after: (before + least) / energy };
    if (ridge !== null) {
      const cross = crossTrain.map((v, i) => v + crossHeld[i]);
      const delta = (await ridgeSolution(gram, cross, K, ridge, products))!;
      corrected = weight.map((w, i) => w + delta[i]);
    }
  }

  const order = gram !== null && options.secondOrder ? roundingOrder(gram, K) : null;
  const round = (w: Float64Array, bits: number): WeightPlane =>
    order === null ? roundToNearest(w, N, K, bits) : roundInOrder(w, order, N, K, bits);
  const first = round(corrected, options.weightBits);
  const second =
    use === 'none'
      ? null
      : round(
          corrected.map((w, i) => w - first.codes[i] * first.scale[Math.floor(i / K)]),
          SECOND_PLANE_BITS,
        );
  // The mean error of a few rows is mostly chance: it counts in proportion.
  const trust = S / (S + ROWS_FOR_BIAS);
  const meanOutput = productWithMean(use === 'own' ? [first, second!] : [first], meanX);
  const bias = problem.bias.map((b, n) => b + trust * (meanT[n] - meanOutput[n] - b));
  return { ...first, second, bias, ridge, heldOutError };
}

/** What planes of weights give for the mean input. */
export function productWithMean(planes: readonly WeightPlane[], mean: Float64Array): Float64Array {
  const K = mean.length;
  const output = new Float64Array(planes[0].scale.length);
  for (const { codes, scale } of planes) {
    for (let n = 0; n < output.length; n++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += codes[n * K + k] * mean[k];
      output[n] += sum * scale[n];
    }
  }
  return output;
}

/** Rounds weights without calibration data: nearest, one scale a row. */
export function roundToNearest(weight: Float64Array, N: number, K: number, weightBits: number): WeightPlane {
  const scale = rowScales(weight, N, K, weightBits);
  const codes = new Int8Array(N * K);
  for (let n = 0, i = 0; n < N; n++) for (let k = 0; k < K; k++, i++) codes[i] = Math.round(weight[i] / scale[n]);
  return { bits: weightBits, codes, scale };
}

function rowScales(weight: Float64Array, N: number, K: number, weightBits: number): Float64Array {
  const limit = 2 ** (weightBits - 1) - 1;
  const scale = new Float64Array(N);
  for (let n = 0; n < N; n++) {
    let max = 0;
    for (let k = 0; k < K; k++) max = Math.max(max, Math.abs(weight[n * K + k]));
    // An all-zero row takes scale 1.
    scale[n] = max > 0 ? max / limit : 1;
  }
  return scale;
}

/** How input channels depend on each other. */
interface RoundingOrder {
  /** Channels by their energy, the largest last. */
  readonly channels: readonly number[];
  /** Cholesky factor of the Gram matrix in this order. */
  readonly factor: Float64Array;
}

/** Null where the Gram matrix cannot be factored. */
function roundingOrder(gram: Float64Array, K: number): RoundingOrder | null {
  const channels = Array.from({ length: K }, (_, k) => k).sort((a, b) => gram[a * K + a] - gram[b * K + b]);
  const damping = DAMPING * meanDiagonal(gram, K) || 1;
  const factor = new Float64Array(K * K);
  for (let i = 0; i < K; i++) {
    for (let j = 0; j <= i; j++) factor[i * K + j] = gram[channels[i] * K + channels[j]] + (i === j ? damping : 0);
  }
  return cholesky(factor, K) ? { channels, factor } : null;
}

function roundInOrder(
  weight: Float64Array,
  { channels, factor }: RoundingOrder,
  N: number,
  K: number,
  weightBits: number,
): WeightPlane {
  const scale = rowScales(weight, N, K, weightBits);
  const limit = 2 ** (weightBits - 1) - 1;
  const codes = new Int8Array(N * K);
  const pending = new Float64Array(ROWS_AT_ONCE * K);
  // Channels of the largest energy are rounded first, while most others can still make up for them:
  // q_k = round(w_k + Σ_{i>k} (w_i − q_i)·L[i,k]/L[k,k]).
  for (let from = 0; from < N; from += ROWS_AT_ONCE) {
    const to = Math.min(N, from + ROWS_AT_ONCE);
    pending.fill(0);
    for (let k = K - 1; k >= 0; k--) {
      const row = k * K;
      for (let n = from; n < to; n++) {
        const at = n * K + channels[k];
        const later = (n - from) * K;
        const w = weight[at] / scale[n];
        const q = Math.max(-limit, Math.min(limit, Math.round(w + pending[later + k] / factor[row + k])));
        codes[at] = q;
        const error = w - q;
        for (let j = 0; j < k; j++) pending[later + j] += error * factor[row + j];
      }
    }
  }
  return { bits: weightBits, codes, scale };
}

function meanDiagonal(gram: Float64Array, K: number): number {
  let trace = 0;
  for (let k = 0; k < K; k++) trace += gram[k * K + k];
  return trace / K;
}

/**
 * ΔW [N, K], or null where the system cannot be factored. The factor is inverted in double precision; the products may be
 * in single precision, as the ridge bounds the condition number.
 */
async function ridgeSolution(
  gram: Float64Array,
  cross: Float32Array,
  K: number,
  ridge: number,
  products: Products,
): Promise<Float32Array | null> {
  const damping = DAMPING * ridge * meanDiagonal(gram, K);
  const factor = gram.slice();
  for (let k = 0; k < K; k++) factor[k * K + k] += ridge * gram[k * K + k] + damping;
  if (!cholesky(factor, K)) return null;
  invertLower(factor, K);
  const inverse = new Float32Array(factor);
  return products.plain(cross, K, await products.transposed(inverse, K, inverse, K), K);
}

/** Change of the summed squared error when ΔW is added: Σ_n ΔW_n·G·ΔW_nᵀ − 2·ΔW_n·c_n, given ΔW·G. */
function errorChange(delta: Float32Array, deltaGram: Float32Array, cross: Float32Array): number {
  let change = 0;
  for (let i = 0; i < delta.length; i++) change += delta[i] * (deltaGram[i] - 2 * cross[i]);
  return change;
}

/** Rows minus their weighted mean, times the root of their weight. */
function centre(
  rows: Float32Array,
  width: number,
  rowWeight: Float32Array,
): { centred: Float32Array; mean: Float64Array } {
  const mean = new Float64Array(width);
  let total = 0;
  for (let r = 0, i = 0; r < rowWeight.length; r++) {
    total += rowWeight[r];
    for (let c = 0; c < width; c++) mean[c] += rowWeight[r] * rows[i++];
  }
  for (let c = 0; c < width; c++) mean[c] /= total;
  const centred = new Float32Array(rows.length);
  for (let r = 0, i = 0; r < rowWeight.length; r++) {
    const root = Math.sqrt(rowWeight[r]);
    for (let c = 0; c < width; c++, i++) centred[i] = (rows[i] - mean[c]) * root;
  }
  return { centred, mean };
}

function transposeToFloat32(matrix: Float64Array, rows: number, cols: number): Float32Array {
  const out = new Float32Array(matrix.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c++) out[c * rows + r] = matrix[r * cols + c];
  return out;
}

function sumOfSquares(values: Float32Array): number {
  let sum = 0;
  for (const v of values) sum += v * v;
  return sum;
}

function heldEnergy(target: Float32Array, N: number, heldOut: Uint8Array): number {
  let sum = 0;
  heldOut.forEach((flag, r) => (sum += flag * sumOfSquares(target.subarray(r * N, (r + 1) * N))));
  return sum;
}

function split(x: Float32Array, residual: Float32Array, K: number, N: number, flag: Uint8Array, wanted: number) {
  const count = flag.reduce((n, f) => n + (f === wanted ? 1 : 0), 0);
  const part = { x: new Float32Array(count * K), residual: new Float32Array(count * N) };
  for (let r = 0, to = 0; r < flag.length; r++) {
    if (flag[r] !== wanted) continue;
    part.x.set(x.subarray(r * K, (r + 1) * K), to * K);
    part.residual.set(residual.subarray(r * N, (r + 1) * N), to * N);
    to++;
  }
  return part;
}
