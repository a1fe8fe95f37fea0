/**
 * The kernels of I-ViT (Li & Gu, ICCV 2023) exactly as its published code computes them, one row each: for reproducing
 * the paper. What they need of real numbers (x0, β/γ) is computed in double precision by `prepare.ts`, where the
 * published code has float32; everything else is integers (`paper-rows.ts`).
 */
import { paperNormRow, shiftGeluRow, shiftmaxRow } from './paper-rows.js';
import { paperNormOffset, shiftExponentialUnit, sigmoidScale } from './prepare.js';

const INT32_MAX = 2147483647n;

/**
 * Shiftmax: softmax with shift exponentials.
 *
 *     e_i = E(x_i − max x, S, 15),  s = min(Σe, 2^31 − 1),  f = ⌊(2^31 − 1)/s⌋,  out_i = ⌊e_i·f / 2^(32−bits)⌋
 *
 * @param x one row of scores, real value x·scale
 * @param bits of the result, sign included: 8 or 16 in the paper; 2 to 31
 * @returns softmax in units of 2^−(bits−1)
 * @throws RangeError for a scale that is not positive, or so small that a result leaves 32 bits
 */
export function shiftmax(x: Int32Array, scale: number, bits: number): Int32Array {
  if (!Number.isInteger(bits) || bits < 2 || bits > 31) {
    throw new RangeError(`Expected an integer from 2 to 31 for bits but received ${bits}`);
  }
  return toInt32(shiftmaxRow(x, shiftExponentialUnit(scale), bits), scale);
}

/**
 * ShiftGELU: x·σ(1.702x), σ from shift exponentials taken relative to the row's maximum.
 *
 *     S' = 1.702·S,  e_i = E(x_i − max x, S', 23),  e_m = E(−max x, S', 23),  s_i = min(e_i + e_m, 2^31 − 1)
 *     σ_i = ⌊e_i·⌊(2^31 − 1)/s_i⌋ / 2^24⌋,  out_i = x_i·σ_i
 *
 * @param x one row, real value x·scale
 * @returns GELU in units of scale·2^−7
 * @throws RangeError for a scale that is not positive, or numbers so large that a result leaves 32 bits
 */
export function shiftGelu(x: Int32Array, scale: number): Int32Array {
  return toInt32(shiftGeluRow(x, shiftExponentialUnit(sigmoidScale(scale))), scale);
}

/**
 * I-LayerNorm: ten Newton steps from 2^16 for the standard deviation's integer, ε left out.
 *
 *     mean = Σx/D rounded half to even,  y = x − mean,  v = Σy²,  k = 2^16, ten times k = ⌊(k + ⌊v/k⌋)/2⌋
 *     f = ⌊(2^31 − 1)/k⌋,  out = ⌊y·f/2⌋ + ⌊(β/γ)/(√D/2^30)⌋
 *
 * @param x one row of D numbers
 * @param weight γ, [D]
 * @param bias β, [D]
 * @returns normalised numbers in units of γ·√D/2^30, which pass 32 bits
 * @throws RangeError where γ is 0 in a channel, or the lengths differ
 */
export function layerNorm(x: Int32Array, weight: ArrayLike<number>, bias: ArrayLike<number>): BigInt64Array {
  if (weight.length !== x.length || bias.length !== x.length) {
    throw new RangeError(
      `Expected ${x.length} numbers for weight and bias but received ${weight.length} and ${bias.length}`,
    );
  }
  if (x.length === 0) throw new RangeError('Expected at least one number for x but received none');
  const offset = paperNormOffset(weight, bias);
  return BigInt64Array.from(paperNormRow(x), (y, i) => y + offset[i]);
}

function toInt32(row: readonly bigint[], scale: number): Int32Array {
  return Int32Array.from(row, (value) => {
    if (value <= INT32_MAX && value >= -INT32_MAX - 1n) return Number(value);
    throw new RangeError(
      `Expected a row and a scale whose result fits 32 bits but received ${value} at scale ${scale}`,
    );
  });
}
