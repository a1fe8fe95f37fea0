import type { LinearOp } from '../../program/types.js';
import { forEachGroup, type Coding } from '../../program/codebook.js';
import type { Encoding } from '../decide/encoding.js';
import { binOf, tablesOf } from '../fit/codebook-fit.js';
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
 */
export function linearOp(
  { node, input, residual }: Layer,
  plane: WeightPlane & { readonly bias: Float64Array },
  target: Encoding,
  unit: number,
): LinearOp {
  const isDynamic = input.out.type === 'rows';
  const rowShift = isDynamic ? shiftOf(plane, node.inFeatures) : 0;
  const steps = plane.scale.map((s) => (isDynamic ? (s * 2 ** rowShift) / unit : s));
  const bias = plane.bias.map((b, n) => b - target.center[n]);
  const carried = carry({ quantized: plane.quantized, steps, bias }, target.scale);
  // Most layers are carried nowhere: tied ones go on sharing their weights.
  const isCarried = carried.quantized !== plane.quantized;
  const weight =
    plane.coding !== null && isCarried ? toLevels(carried.quantized, plane.coding, node.inFeatures) : carried.quantized;
  const factors = carried.steps.map((u, n) => u / target.scale[n]);
  const { multiplier, shift } = encodeMultipliers(factors, node.name, multiplierBits(plane, factors, input));
  return {
    ...{ op: 'linear', name: node.name, rows: node.rows, cols: node.cols, out: target.out, x: input.value },
    ...{ weight, inFeatures: node.inFeatures, weightBits: plane.bits },
    ...(plane.coding !== null && {
      groupSize: plane.coding.groupSize,
      codebook: plane.coding.codebook,
      factor: plane.coding.factor,
    }),
    ...{
      bias: Int32Array.from(bias, (b, n) => Math.round(b / carried.steps[n])),
      multiplier,
      shift,
      rowShift,
      residual: residual?.value ?? null,
    },
  };
}

/** Where weights are coded in few bits: such multipliers take half the bytes, */
const SMALL_MULTIPLIER_BITS = 15;
/** as long as the least of them keeps this many: an error of 1/512 is far below that of such weights. */
const LEAST_SMALL_BITS = 8;

/** Bits of a layer's largest multiplier. @param factors what multipliers stand for */
function multiplierBits({ coding }: WeightPlane, factors: Float64Array, { out }: Layer['input']): number {
  const whole = out.type === 'i16' ? MULTIPLIER_BITS_16 : 31;
  if (coding === null) return whole;
  const most = factors.reduce((a, b) => Math.max(a, b), 0);
  const least = factors.reduce((a, b) => (b > 0 ? Math.min(a, b) : a), most);
  return most / least < 2 ** (SMALL_MULTIPLIER_BITS - LEAST_SMALL_BITS) ? SMALL_MULTIPLIER_BITS : whole;
}

/** The accumulators of a layer: quantized weights [N, K], and the real value of one step of each channel [N]. */
interface Accumulators {
  readonly quantized: Int8Array;
  readonly steps: Float64Array;
  /** [N], real. */
  readonly bias: Float64Array;
}

/** |bias| of an accumulator stays below. */
const BIAS_LIMIT = 2 ** 30;
/** The least multiplier of a layer, as a share of its largest: below, the few bits that are left of it would tell. */
const LEAST_MULTIPLIER = 2 ** -20;

/**
 * Gives channels whose weights are next to nothing (pruned, or gone by weight decay) steps in which their bias fits.
 * The multipliers of all others keep their bits. The weights of such a channel count for nothing in its new steps.
 *
 * @param scale [N]: real value of one step of the output
 */
function carry(
  { quantized, steps, bias }: Accumulators,
  scale: Float64Array,
): Pick<Accumulators, 'quantized' | 'steps'> {
  const N = steps.length;
  const K = quantized.length / N;
  const isZero = Array.from({ length: N }, (_, n) => quantized.subarray(n * K, (n + 1) * K).every((q) => q === 0));
  const factors = steps.map((u, n) => (isZero[n] ? 0 : u / scale[n]));
  const largest = factors.reduce((a, b) => Math.max(a, b), 0);
  const raised = steps.map((u, n) => {
    // Without weights any step will do.
    const own = isZero[n] && largest > 0 ? largest * scale[n] : u;
    const least = Math.max(own, LEAST_MULTIPLIER * largest * scale[n]);
    return Math.round(Math.abs(bias[n]) / least) < BIAS_LIMIT ? least : Math.abs(bias[n]) / (BIAS_LIMIT / 2);
  });
  if (raised.every((u, n) => u === steps[n] || isZero[n])) return { quantized, steps: raised };
  return {
    quantized: quantized.map((q, i) => rescaled(q, steps[Math.floor(i / K)], raised[Math.floor(i / K)])),
    steps: raised,
  };
}

const rescaled = (q: number, from: number, to: number): number => (from === to ? q : Math.round((q * from) / to));

/** The nearest that a code stands for, of each weight. */
function toLevels(quantized: Int8Array, coding: Coding, inFeatures: number): Int8Array {
  const tables = tablesOf(coding.codebook);
  const weight = new Int8Array(quantized.length);
  forEachGroup(weight.length, inFeatures, coding.groupSize, (from, to, group) => {
    const table = tables.get(coding.factor[group])!;
    for (let i = from; i < to; i++) weight[i] = table[binOf(quantized[i])];
  });
  return weight;
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
