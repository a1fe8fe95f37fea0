import type { LinearOp } from '../program/types.js';
import { WIDE_LIMIT, shiftRound } from './dyadic.js';

/** A linear layer's input: codes with their zero point, and a scale a row where it was quantized dynamically. */
export interface LinearInput {
  readonly data: Uint8Array | Int16Array;
  readonly zero: number;
  readonly rowScale: Int32Array | null;
}

/**
 * The accumulators of row r: acc[n] = bias[n] + Σ_k (x[r,k] − zero)·w[n,k], for a dynamic row
 * bias[n] + ((M'·Σ + 2^(rowShift−1)) >> rowShift). Exact; below 2^31 (`i16` inputs: 2^40) by the program's proof.
 *
 * @param acc [cols], overwritten
 */
export function accumulateRow(op: LinearOp, input: LinearInput, r: number, acc: number[]): void {
  const { inFeatures: K, cols: N, weight, bias } = op;
  const { data, zero, rowScale } = input;
  for (let n = 0; n < N; n++) {
    let sum = 0;
    for (let k = 0, i = r * K, j = n * K; k < K; k++, i++, j++) sum += (data[i] - zero) * weight[j];
    if (rowScale !== null) sum = Number(shiftRound(BigInt(rowScale[r]) * BigInt(sum), op.rowShift));
    acc[n] = bias[n] + sum;
  }
}

/** Saturating addition on the residual stream. */
export function addWide(a: number, b: number): number {
  return Math.max(-WIDE_LIMIT, Math.min(WIDE_LIMIT, a + b));
}
