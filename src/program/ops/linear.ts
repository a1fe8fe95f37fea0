import * as v from 'valibot';
import type { OpCheck } from '../check.js';
import { CODED_LIMIT, FACTORS, groupsOf, levelsOf } from '../codebook.js';
import { MAX_ELEMENTS, ROW_LIMIT, outputRange } from '../limits.js';
import { ACCUMULATOR_BITS, POWERS, fitsProduct, greatest, larger, requantized, within } from '../proof.js';
import { elements, type OpBase, type ValueId, type ValueInfo } from '../value.js';
import {
  integer,
  multiplierOf,
  padded,
  perChannel,
  type OpDefinition,
  type Surroundings,
  type TensorField,
} from './definition.js';

/**
 * A linear layer. x is `u8` (acc = bias[n] + Σ (x − zero)·w), `i16` (acc = bias[n] + Σ x·w, the kernels split x into
 * two 8-bit planes), or `rows`: acc = bias[n] + ((M'·Σ (x − 128)·w + 2^(rowShift−1)) >> rowShift). |acc| < 2^31, proven
 * from the weights (`i16`: |acc| < 2^40). Then requantize by `multiplier`, `shift`. With `residual` (a value of type
 * i32, same shape, `out` i32) the clamped result is added to it and the sum clamped again.
 */
export interface LinearOp extends OpBase {
  readonly op: 'linear';
  readonly x: ValueId;
  /** [cols, inFeatures] row-major, in [−127, 127]. */
  readonly weight: Int8Array;
  readonly inFeatures: number;
  /** Bits the file stores each weight in: 2 to 8. */
  readonly weightBits: number;
  /** How the file codes the weights: see `Coding`; absent: it holds them as they are. */
  readonly groupSize?: number;
  readonly codebook?: Int8Array;
  readonly factor?: Int8Array;
  /** [cols]. */
  readonly bias: Int32Array;
  /** [cols]. */
  readonly multiplier: Int32Array;
  readonly shift: number;
  /** Only read where x is `rows`, else 0. 0 to 31. */
  readonly rowShift: number;
  readonly residual: ValueId | null;
  /** Tied weights: the op before it whose weights these are, as many and of as many bits; absent: they are its own. */
  readonly weightsOf?: number;
}

/** Linear layers with `i16` inputs accumulate two planes of 8 bits. */
const WIDE_ACCUMULATOR_BITS = 40;

/** What a file may store a weight in. */
export const WEIGHT_BITS = [2, 3, 4, 5, 6, 7, 8] as const;

export const linear: OpDefinition<LinearOp> = {
  fields: {
    x: integer,
    inFeatures: integer,
    weightBits: v.picklist(WEIGHT_BITS),
    groupSize: v.optional(v.pipe(integer, v.minValue(1), v.maxValue(MAX_ELEMENTS), v.check(isPowerOfTwo))),
    shift: integer,
    rowShift: integer,
    residual: v.nullable(integer),
    weightsOf: v.optional(integer),
  },
  tensors(op) {
    const own = [perChannel(op, 'bias', 'I32'), multiplierOf(op)];
    if (op.weightsOf !== undefined) return own;
    const weight: TensorField = { field: 'weight', dtype: 'I8', shape: [op.cols, op.inFeatures] };
    if (op.groupSize === undefined) return [weight, ...own];
    return [
      { field: 'codebook', dtype: 'I8', shape: [2 ** op.weightBits] },
      { field: 'factor', dtype: 'I8', shape: [op.cols, groupsOf(op.inFeatures, op.groupSize)] },
      weight,
      ...own,
    ];
  },
  operands: (op) => (op.residual === null ? [op.x] : [op.x, op.residual]),
  validate(op, check, surroundings) {
    const { values } = surroundings;
    const x = values[op.x];
    check.type('x', x, 'u8', 'i16', 'rows');
    check.count('inFeatures', op.inFeatures, 1, MAX_ELEMENTS);
    check.sameElements('x', x, op.rows * op.inFeatures);
    if (x.out.type === 'rows') {
      check.that(x.cols === op.inFeatures, `x has dynamic rows of ${x.cols}, not of ${op.inFeatures}`);
      check.count('rowShift', op.rowShift, 0, 31);
    } else {
      check.that(op.rowShift === 0, 'rowShift is not 0, yet x is not dynamic');
    }
    check.count('weightBits', op.weightBits, WEIGHT_BITS[0], WEIGHT_BITS.at(-1)!);
    check.length('weight', op.weight, op.cols * op.inFeatures);
    if (op.groupSize !== undefined) validateCoding(op, op.groupSize, check);
    const limit = weightLimit(op);
    if (op.weightsOf === undefined) check.within('weight', op.weight, -limit, limit);
    else validateTied(op, op.weightsOf, check, surroundings);
    check.length('bias', op.bias, op.cols);
    check.multipliers(op);
    if (op.residual !== null) {
      check.writes('i32');
      check.type('the residual', values[op.residual], 'i32');
      check.sameElements('the residual', values[op.residual], elements(op));
    }
  },
  bound(op, values) {
    const { lo, hi, bits } = accumulation(values[op.x]);
    const dynamic = values[op.x].out.type === 'rows';
    const accumulators: bigint[] = [];
    const sums = sumsOf(op, values);
    for (let n = 0; n < op.cols; n++) {
      const { positive, negative } = sums[n];
      // Inputs are accumulated without their zero point, planes of 16 bits apart: those sums must fit as well.
      within(op, 255 * (positive + negative), ACCUMULATOR_BITS, 'the sum of channel', n);
      const least = lo * positive - hi * negative;
      const most = hi * positive - lo * negative;
      const bias = op.bias[n];
      const accumulator = dynamic
        ? larger(scaleRow(least, op.rowShift) + BigInt(bias), scaleRow(most, op.rowShift) + BigInt(bias))
        : BigInt(Math.max(Math.abs(least + bias), Math.abs(most + bias)));
      accumulators.push(within(op, accumulator, bits, 'the accumulator of channel', n));
    }
    return requantized(op, accumulators);
  },
  isProvenBySize(op, values) {
    const { lo, hi, bits } = accumulation(values[op.x]);
    const weights = op.inFeatures * weightLimit(op);
    const sum = Math.max(-lo, hi) * weights;
    const dynamic = values[op.x].out.type === 'rows';
    const accumulator = (dynamic ? scaleRow(sum, op.rowShift) : BigInt(sum)) + greatest(op.bias);
    return (
      BigInt(255 * weights) < POWERS[ACCUMULATOR_BITS] && accumulator < POWERS[bits] && fitsProduct(op, accumulator)
    );
  },
  // Words of 16 bits at most; rows of them are rearranged, 48 at a time.
  memory: (op) => ({
    constants: 2 * padded(op.cols) * padded(op.inFeatures) + 32 * padded(op.cols),
    shared: 0,
    thread: 128 * padded(op.inFeatures),
  }),
  macs: (op) => op.rows * op.cols * op.inFeatures,
  parameters: (op) => (op.weightsOf === undefined ? op.weight.length : 0) + op.bias.length,
};

function isPowerOfTwo(size: number): boolean {
  return (size & (size - 1)) === 0;
}

/** |w| stays within. */
function weightLimit({ weightBits, groupSize }: Pick<LinearOp, 'weightBits' | 'groupSize'>): number {
  return groupSize === undefined ? (1 << (weightBits - 1)) - 1 : CODED_LIMIT;
}

/** Codes of fewer than 8 bits stand for weights within ±127, whatever code and factor. */
function validateCoding(op: LinearOp, groupSize: number, check: OpCheck): void {
  check.count('groupSize', groupSize, 1, MAX_ELEMENTS);
  check.that(isPowerOfTwo(groupSize), `its groupSize of ${groupSize} is no power of two`);
  check.that(op.weightBits < 8, 'its weights of 8 bits are coded');
  if (op.weightsOf !== undefined) return;
  check.length('codebook', op.codebook!, 2 ** op.weightBits);
  check.length('factor', op.factor!, op.cols * groupsOf(op.inFeatures, groupSize));
  check.within('factor', op.factor!, ...FACTORS);
  for (const factor of new Set(op.factor)) {
    const levels = levelsOf(op.codebook!, factor);
    const fits = levels.every((level) => Math.abs(level) <= CODED_LIMIT);
    check.that(fits, `its codebook passes ${CODED_LIMIT} at factor ${factor}`);
  }
}

/** Whether a linear layer may use the weights of another op: of one that has as many, of as many bits, of its own. */
export function canShareWeights(
  op: Pick<LinearOp, 'cols' | 'inFeatures' | 'weightBits' | 'groupSize'>,
  owner: (OpBase & { readonly op: string }) | undefined,
): owner is LinearOp {
  if (owner?.op !== 'linear') return false;
  const { cols, inFeatures, weightBits, groupSize, weightsOf } = owner as LinearOp;
  const isAlike = weightBits === op.weightBits && groupSize === op.groupSize;
  return cols === op.cols && inFeatures === op.inFeatures && isAlike && weightsOf === undefined;
}

function validateTied(op: LinearOp, weightsOf: number, check: OpCheck, { ops, index }: Surroundings): void {
  const owner = ops[weightsOf];
  check.that(
    weightsOf < index && canShareWeights(op, owner) && owner.weight === op.weight,
    `it shares the weights of op ${weightsOf}, which is no such layer before it`,
  );
}

/** What a linear layer accumulates: the range of its inputs, and the width that holds the sum. */
function accumulation({ out }: ValueInfo): { lo: number; hi: number; bits: number } {
  const { lo, hi } = out.type === 'rows' ? { lo: -127, hi: 127 } : outputRange(out);
  return { lo, hi, bits: out.type === 'i16' ? WIDE_ACCUMULATOR_BITS : ACCUMULATOR_BITS };
}

interface ChannelSums {
  readonly positive: number;
  readonly negative: number;
}

/** By the values of one proof, by weights: many layers may share them, and each proof looks at them once. */
const knownSums = new WeakMap<readonly ValueInfo[], Map<Int8Array, readonly ChannelSums[]>>();

/** Of each channel: Σw over the positive weights, and −Σw over the negative ones. */
function sumsOf({ weight, cols, inFeatures }: LinearOp, values: readonly ValueInfo[]): readonly ChannelSums[] {
  const known = knownSums.get(values) ?? new Map<Int8Array, readonly ChannelSums[]>();
  knownSums.set(values, known);
  let sums = known.get(weight);
  if (sums?.length !== cols) {
    sums = Array.from({ length: cols }, (_, n) => sumUp(weight, n * inFeatures, (n + 1) * inFeatures));
    known.set(weight, sums);
  }
  return sums;
}

/** Weights whose sums fit 32 bits. */
const SUMMED = 1 << 20;

/** Σw over the positive weights of [start, end), and −Σw over the negative ones: below 2^28·2^7. */
function sumUp(weight: Int8Array, start: number, end: number): ChannelSums {
  let positive = 0;
  let negative = 0;
  for (let i = start; i < end; i += SUMMED) {
    const part = sumPart(weight, i, Math.min(i + SUMMED, end));
    positive += part.positive;
    negative += part.positive - part.sum;
  }
  return { positive, negative };
}

/** Sees every weight of a model in `ivit inspect`: 32-bit sums, no branch, and small enough to be compiled soon. */
function sumPart(weight: Int8Array, start: number, end: number): { positive: number; sum: number } {
  let positive = 0;
  let sum = 0;
  for (let i = start; i < end; i++) {
    const w = weight[i];
    positive = (positive + (w & ~(w >> 31))) | 0;
    sum = (sum + w) | 0;
  }
  return { positive, sum };
}

/** (M'·sum + 2^(rowShift−1)) >> rowShift at the largest row scale, M' = 2^22. */
function scaleRow(sum: number, rowShift: number): bigint {
  const product = BigInt(sum) * BigInt(ROW_LIMIT + 1);
  return rowShift === 0 ? product : (product + (1n << BigInt(rowShift - 1))) >> BigInt(rowShift);
}
