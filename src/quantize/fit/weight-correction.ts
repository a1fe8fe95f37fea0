/** Closed-form (ridge) correction of a linear layer's weights for the error that its inputs carry. */
import type { Products } from '../../calibrate/products.js';
import { cholesky, invertLower } from '../../calibrate/numerics.js';
import { meanDiagonal, sumOf } from './linalg.js';
import type { OutputErrors, Rows } from './output-errors.js';

/** Gram matrices [K, K] of a layer's centred inputs. */
export interface Grams {
  /** Of the rows that weights are fitted to. */
  readonly train: Float32Array;
  /** Of those that the ridge strength is chosen on. */
  readonly held: Float32Array;
  /** Of both. */
  readonly all: Float64Array;
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
 * The ridge solution ΔWᵀ = (XᵀX + λ·diag(XᵀX))⁻¹XᵀE of centred inputs X and errors E = T − X·Wᵀ of the output. λ is the
 * strength that leaves the least error on the held-out rows; where none leaves less than the float weights do, these
 * stay.
 *
 * @param split where the held-out rows are, which follow the others
 * @param ridges strengths to try, as shares of the Gram matrix's diagonal
 */
export async function correctWeights(
  grams: Grams,
  errors: OutputErrors,
  split: { readonly train: Rows; readonly held: Rows },
  ridges: readonly number[],
  products: Products,
): Promise<Correction> {
  const K = Math.sqrt(grams.all.length);
  const [crossTrain, crossHeld] = [await errors.cross(split.train), await errors.cross(split.held)];
  let least = 0;
  let ridge: number | null = null;
  for (const candidate of ridges) {
    const delta = await ridgeSolution(grams.train, crossTrain, K, candidate, products);
    if (delta === null) continue;
    const change = errorChange(delta, await products.plain(delta, K, grams.held, K), crossHeld);
    if (change >= least) continue;
    least = change;
    ridge = candidate;
  }
  const { error, wanted } = await errors.energies(split.held);
  const heldOutError = wanted > 0 ? { before: error / wanted, after: (error + least) / wanted } : null;
  if (ridge === null) return { delta: null, ridge, heldOutError };
  const cross = sumOf(crossTrain, crossHeld);
  return { delta: await ridgeSolution(grams.all, cross, K, ridge, products), ridge, heldOutError };
}

/**
 * ΔW [N, K], or null where the system cannot be factored. The factor is inverted in double precision; the products may
 * be in single precision, as the ridge bounds the condition number.
 */
async function ridgeSolution(
  gram: Float32Array | Float64Array,
  cross: Float32Array,
  K: number,
  ridge: number,
  products: Products,
): Promise<Float32Array | null> {
  const damping = DAMPING * ridge * meanDiagonal(gram, K);
  const factor = new Float64Array(gram);
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
