/** Closed-form (ridge) correction of a linear layer's weights for the error that its inputs carry. */
import type { Products } from '../../calibrate/products.js';
import { cholesky, invertLower } from '../../calibrate/numerics.js';
import { meanDiagonal } from './linalg.js';

/** Centred rows of a layer, weighted: what its correction is fitted to. */
export interface CentredRows {
  /** [rows, K]: its inputs. */
  readonly x: Float32Array;
  /** [rows, N]: the outputs wanted. */
  readonly target: Float32Array;
  /** [rows, N]: what the float weights leave of them. */
  readonly residual: Float32Array;
  /** [rows]: 1 for rows of held-out images, on which the ridge strength is chosen. */
  readonly heldOut: Uint8Array;
}

export interface Correction {
  /** [N, K], to be added to the weights; null where none helps. */
  readonly delta: Float32Array | null;
  /** The ridge strength chosen. */
  readonly ridge: number | null;
  /**
   * Squared error on the held-out rows as a share of the wanted output's energy, with the float weights and with the
   * best of the ridge strengths, weights not rounded; null where there was none to try.
   */
  readonly heldOutError: { readonly before: number; readonly after: number } | null;
}

export const NO_CORRECTION: Correction = { delta: null, ridge: null, heldOutError: null };

/** Share of the diagonal added before factoring, so that dead channels and rounding don't break it. */
const DAMPING = 1e-3;

/**
 * The ridge solution ΔWᵀ = (XᵀX + λ·diag(XᵀX))⁻¹XᵀE of centred inputs X and residual E = T − X·Wᵀ. λ is the strength
 * that leaves the least error on the held-out rows; where none leaves less than the float weights do, these stay.
 *
 * @param gram [K, K] of all rows of x
 * @param ridges strengths to try, as shares of the Gram matrix's diagonal
 */
export async function correctWeights(
  rows: CentredRows,
  gram: Float64Array,
  ridges: readonly number[],
  products: Products,
): Promise<Correction> {
  const S = rows.heldOut.length;
  const [K, N] = [rows.x.length / S, rows.target.length / S];
  const held = part(rows, 1);
  const train = part(rows, 0);
  const gramHeld32 = await products.transposed(held.x, K, held.x, K);
  const gramHeld = new Float64Array(gramHeld32);
  const crossHeld = await products.transposed(held.residual, N, held.x, K);
  const gramTrain = gram.map((v, i) => v - gramHeld[i]);
  const crossTrain = await products.transposed(train.residual, N, train.x, K);
  let least = 0;
  let ridge: number | null = null;
  for (const candidate of ridges) {
    const delta = await ridgeSolution(gramTrain, crossTrain, K, candidate, products);
    if (delta === null) continue;
    const change = errorChange(delta, await products.plain(delta, K, gramHeld32, K), crossHeld);
    if (change >= least) continue;
    least = change;
    ridge = candidate;
  }
  const before = sumOfSquares(held.residual);
  const energy = heldEnergy(rows.target, N, rows.heldOut);
  const heldOutError = energy > 0 ? { before: before / energy, after: (before + least) / energy } : null;
  if (ridge === null) return { delta: null, ridge, heldOutError };
  const cross = crossTrain.map((v, i) => v + crossHeld[i]);
  return { delta: await ridgeSolution(gram, cross, K, ridge, products), ridge, heldOutError };
}

/**
 * ΔW [N, K], or null where the system cannot be factored. The factor is inverted in double precision; the products may
 * be in single precision, as the ridge bounds the condition number.
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

/** The rows whose flag is as wanted. */
function part({ x, residual, heldOut }: CentredRows, wanted: number): { x: Float32Array; residual: Float32Array } {
  const [K, N] = [x.length / heldOut.length, residual.length / heldOut.length];
  const count = heldOut.reduce((n, flag) => n + (flag === wanted ? 1 : 0), 0);
  const picked = { x: new Float32Array(count * K), residual: new Float32Array(count * N) };
  for (let r = 0, to = 0; r < heldOut.length; r++) {
    if (heldOut[r] !== wanted) continue;
    picked.x.set(x.subarray(r * K, (r + 1) * K), to * K);
    picked.residual.set(residual.subarray(r * N, (r + 1) * N), to * N);
    to++;
  }
  return picked;
}
