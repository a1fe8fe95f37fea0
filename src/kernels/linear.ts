import type { LinearOp } from '../program/types.js';
import { WIDE_LIMIT, shiftRound } from './dyadic.js';

/** A linear layer's input. */
export interface LinearInput {
  /** Quantized values, [rows, inFeatures]. */
  readonly data: Uint8Array | Int16Array;
  /** Their zero point. */
  readonly zero: number;
  /** M' of each row, [rows], where rows were quantized dynamically. */
  readonly rowScale: Int32Array | null;
}

/**
 * The accumulators of row r:
 *
 *     sum    = Σ_k (x[r, k] − zero)·w[n, k]
 *     acc[n] = bias[n] + sum
 *     acc[n] = bias[n] + ((M'·sum + 2^(rowShift−1)) >> rowShift)       for a row that was quantized dynamically
 *
 * Exact. The program's proof keeps it below 2^31 (with `i16` inputs, 2^40).
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

/** Saturating addition of int32 values, as the residual stream has them: clamp(a + b, ±(2^24 − 1)). */
export function addWide(a: number, b: number): number {
  return Math.max(-WIDE_LIMIT, Math.min(WIDE_LIMIT, a + b));
}
