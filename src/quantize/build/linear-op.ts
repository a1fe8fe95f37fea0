import { InputError } from '../../errors.js';
import type { LinearOp } from '../../program/types.js';
import type { Encoding } from '../decide/encoding.js';
import type { WeightPlane } from '../fit/weight-rounding.js';
import type { Layer } from './layer-samples.js';
import { encodeMultipliers } from './multipliers.js';

/** Bits of the multipliers of 16-bit inputs: their accumulator has up to 40 of the 64-bit product's. */
const MULTIPLIER_BITS_16 = 22;

/**
 * The op of one plane of a layer's weights.
 *
 * @param plane with its bias [N]
 * @param unit of dynamic rows, see `SampledInputs`
 * @throws InputError where a bias is too large for its channel's weights
 */
export function linearOp(
  { node, input, residual }: Layer,
  plane: WeightPlane & { readonly bias: Float64Array },
  target: Encoding,
  unit: number,
): LinearOp {
  const isDynamic = input.out.type === 'rows';
  const rowShift = isDynamic ? shiftOf(plane, node.inFeatures) : 0;
  const step = plane.scale.map((s) => (isDynamic ? (s * 2 ** rowShift) / unit : s));
  const factors = step.map((u, n) => u / target.scale[n]);
  const { multiplier, shift } = encodeMultipliers(
    factors,
    node.name,
    input.out.type === 'i16' ? MULTIPLIER_BITS_16 : 31,
  );
  const bias = Int32Array.from(step, (u, n) => {
    const b = Math.round((plane.bias[n] - target.center[n]) / u);
    if (Math.abs(b) >= 2 ** 30)
      throw new InputError(`layer ${node.name}: the bias of channel ${n} is too large for its weights`);
    return b;
  });
  return {
    ...{ op: 'linear', name: node.name, rows: node.rows, cols: node.cols, out: target.out, x: input.value },
    ...{ weight: plane.quantized, inFeatures: node.inFeatures, weightBits: plane.bits },
    ...{ bias, multiplier, shift, rowShift, residual },
  };
}

/** rowShift: M' ≤ 2^22, so |M'·Σ| >> rowShift stays below 2^30, and the bias below that again. */
function shiftOf({ quantized, scale }: WeightPlane, K: number): number {
  let largest = 1;
  for (let n = 0; n < scale.length; n++) {
    let sum = 0;
    for (let k = 0; k < K; k++) sum += Math.abs(quantized[n * K + k]);
    largest = Math.max(largest, sum);
  }
  return Math.max(0, Math.ceil(Math.log2(largest * 128)) + 22 - 30);
}
