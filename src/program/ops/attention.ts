import * as v from 'valibot';
import type { OpCheck } from '../check.js';
import { FINE_SCORE_BITS, MAX_ELEMENTS, MAX_X0, SCORE_BIAS_LIMIT } from '../limits.js';
import { ACCUMULATOR_BITS, checkProducts, requantized, within } from '../proof.js';
import type { OpBase } from '../value.js';
import { integer, multiplierOf, padded, type OpDefinition } from './definition.js';
import { rowsOf, validateView, viewSchema, type OperandView } from './view.js';

/** The kernels of one softmax: `shift` is Shiftmax (linear mantissa), `quadratic` adds the second-order term. */
export type SoftmaxKind = 'shift' | 'quadratic';

/** Bits of a softmax weight: 8, dithered, or 12, two planes of which are multiplied. */
export type SoftmaxBits = 8 | 12;

/** Shiftmax as published (see `shiftmaxRow`): scores are 8-bit integers of one scale S. */
export interface PaperSoftmax {
  readonly kind: 'paper';
  /** ⌊−1/S⌋: −2^15 to −1. */
  readonly x0: number;
  /** Bits of the softmax, sign included. */
  readonly bits: 8 | 16;
}

/** I-BERT's i-softmax (see `softmaxInteger`): scores are in units of ln 2/2^10. */
export interface IbertSoftmax {
  readonly kind: 'ibert';
  /** Bits of the softmax, which has no sign. */
  readonly bits: 8 | 16;
}

/** Softmax in float32 (see `softmaxFloat`): scores are in units of ln 2/2^10, weights of 2^−16. */
export interface FloatSoftmax {
  readonly kind: 'float';
  readonly bits: 16;
}

/** A softmax whose weights are divided by their sum before they multiply V. */
export type PublishedSoftmax = PaperSoftmax | IbertSoftmax | FloatSoftmax;

/**
 * Attention of `batch` windows × `heads` heads, see `attendRow` for the exact steps:
 * scores s = Σ q·k; x = ((s·scoreMultiplier[h] + 2^(scoreShift−1)) >> scoreShift) + bias, in log2 units of
 * 2^−fractionBits; weights w = exponential(max − x) of softmaxBits bits; o = Σ w·v normalised by Σw; requantize.
 * Writes [batch·queries, heads·valueDim].
 *
 * With a published softmax w is the softmax of the row, and o = Σ w·v as it is: Shiftmax of x clamped to ±127, in units
 * of 2^−(bits−1), or i-softmax, in units of 2^−bits.
 */
export interface AttentionOp extends OpBase {
  readonly op: 'attention';
  readonly q: OperandView;
  readonly k: OperandView;
  readonly v: OperandView;
  readonly batch: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly dim: number;
  readonly valueDim: number;
  readonly softmax: SoftmaxKind | PublishedSoftmax;
  /** Of the softmax's weights; 8 with a published one, which has its own. */
  readonly softmaxBits: SoftmaxBits;
  /** 8 to 11; 10 with i-softmax and float32; 0 with the published Shiftmax, whose scores are in units of S. */
  readonly fractionBits: number;
  /** [heads]. */
  readonly scoreMultiplier: Int32Array;
  readonly scoreShift: number;
  /** [biasBatch, biasHeads, queries, keys] in the score's unit, within ±2^28, or null. */
  readonly bias: Int32Array | null;
  readonly biasBatch: number;
  readonly biasHeads: number;
  /** [cols]. */
  readonly multiplier: Int32Array;
  readonly shift: number;
}

/** |o| of attention: |Σ w·v| ≤ 127·Σw, times ⌊2^31/Σw⌋, shifted right by 8. */
const ATTENDED = 127n << 23n;

export const attention: OpDefinition<AttentionOp> = {
  fields: {
    q: viewSchema,
    k: viewSchema,
    v: viewSchema,
    batch: integer,
    heads: integer,
    queries: integer,
    keys: integer,
    dim: integer,
    valueDim: integer,
    softmax: v.union([
      v.picklist(['shift', 'quadratic']),
      v.strictObject({ kind: v.literal('paper'), x0: integer, bits: v.picklist([8, 16]) }),
      v.strictObject({ kind: v.literal('ibert'), bits: v.picklist([8, 16]) }),
      v.strictObject({ kind: v.literal('float'), bits: v.literal(16) }),
    ]),
    softmaxBits: v.picklist([8, 12]),
    fractionBits: integer,
    scoreShift: integer,
    biasBatch: integer,
    biasHeads: integer,
    shift: integer,
  },
  tensors: (op) => [
    rowsOf('q', op.batch, op.queries),
    rowsOf('k', op.batch, op.keys),
    rowsOf('v', op.batch, op.keys),
    { field: 'scoreMultiplier', dtype: 'I32', shape: [op.heads] },
    { field: 'bias', dtype: 'I32', shape: [op.biasBatch, op.biasHeads, op.queries, op.keys], optional: true },
    multiplierOf(op),
  ],
  operands: (op) => [op.q.x, op.k.x, op.v.x],
  validate(op, check, { values }) {
    for (const field of ['batch', 'heads', 'queries', 'keys', 'dim', 'valueDim'] as const) {
      check.count(field, op[field], 1, MAX_ELEMENTS);
    }
    const { batch, heads, queries, keys } = op;
    check.that(op.rows === batch * queries, `${batch} windows of ${queries} queries are not ${op.rows} rows`);
    check.that(op.cols === heads * op.valueDim, `${heads} heads of ${op.valueDim} channels are not ${op.cols} columns`);
    const reads = { type: 'i8', tokens: batch * keys, heads, length: op.dim } as const;
    validateView(check, 'q', op.q, values[op.q.x], { ...reads, tokens: op.rows });
    validateView(check, 'k', op.k, values[op.k.x], reads);
    validateView(check, 'v', op.v, values[op.v.x], { ...reads, length: op.valueDim });
    validateSoftmax(op, check);
    check.length('scoreMultiplier', op.scoreMultiplier, heads);
    check.count('scoreShift', op.scoreShift, 1, 62);
    check.that(op.biasBatch === 1 || op.biasBatch === batch, `biasBatch is ${op.biasBatch}, not 1 or ${batch}`);
    check.that(op.biasHeads === 1 || op.biasHeads === heads, `biasHeads is ${op.biasHeads}, not 1 or ${heads}`);
    if (op.bias !== null) {
      check.length('bias', op.bias, op.biasBatch * op.biasHeads * queries * keys);
      check.within('bias', op.bias, -SCORE_BIAS_LIMIT, SCORE_BIAS_LIMIT);
    }
    check.multipliers(op);
  },
  bound(op) {
    const { softmax } = op;
    const score = within(op, BigInt(op.dim) * 127n * 127n, ACCUMULATOR_BITS, 'the score');
    const weights =
      typeof softmax === 'string'
        ? BigInt(op.keys) * BigInt(255 << (op.softmaxBits - 8))
        : publishedWeights(op.keys, softmax);
    const sum = within(op, weights * 127n, ACCUMULATOR_BITS, 'the weighted sum of values');
    const attended = requantized(op, typeof softmax === 'string' ? ATTENDED : sum);
    checkProducts(op, { multiplier: op.scoreMultiplier, shift: op.scoreShift }, score, 'a score');
    return attended;
  },
  isFloat: ({ softmax }) => typeof softmax !== 'string' && softmax.kind === 'float',
  // Keys and values of each head are packed, as words of 16 bits at most; 24 rows of scores are at work at a time.
  memory({ batch, heads, keys, dim, valueDim }) {
    const [k, d, v] = [padded(keys), padded(dim), padded(valueDim)];
    return {
      constants: 0,
      shared: batch * heads * (2 * k * (d + v) + 4 * (k + v) + 128),
      thread: 256 * k + 64 * d + 64 * v,
    };
  },
  visits: (op) => op.batch * op.heads * op.queries * op.keys,
  macs: (op) => op.batch * op.heads * op.queries * op.keys * (op.dim + op.valueDim),
};

function validateSoftmax(op: AttentionOp, check: OpCheck): void {
  check.that(op.softmaxBits === 8 || op.softmaxBits === 12, `softmaxBits is ${String(op.softmaxBits)}, not 8 or 12`);
  if (typeof op.softmax === 'string') return check.count('fractionBits', op.fractionBits, 8, 11);
  const { softmax } = op;
  check.that(op.softmaxBits === 8, `softmaxBits is ${op.softmaxBits}, not 8`);
  check.that(softmax.bits === 8 || softmax.bits === 16, `its softmax has ${String(softmax.bits)} bits, not 8 or 16`);
  if (softmax.kind === 'paper') check.count('x0', softmax.x0, -MAX_X0, -1);
  const fractionBits = softmax.kind === 'paper' ? 0 : FINE_SCORE_BITS;
  check.that(op.fractionBits === fractionBits, `fractionBits is ${op.fractionBits}, not ${fractionBits}`);
}

/**
 * Most of Σw. i-softmax: Σe·⌊(2^32 − 1)/Σe⌋ < 2^32, so that Σw < 2^bits. Shiftmax: e ≤ −x0·2^15, and
 * Σe·⌊(2^31 − 1)/Σe⌋ < 2^31, so that Σw < 2^(bits−1) as long as Σe is not cut off; where it may be, the factor is 1 for
 * e ≤ 2^30, and each w is below 2^(bits−1).
 */
function publishedWeights(keys: number, softmax: PublishedSoftmax): bigint {
  // In float32 Σe of fewer than 2^23 keys is right within a half, so that Σw ≤ 2·2^16, and half a step more for each.
  if (softmax.kind === 'float') return keys < 2 ** 23 ? (1n << 17n) + BigInt(keys) : BigInt(keys) << 16n;
  if (softmax.kind === 'ibert') return (1n << BigInt(softmax.bits)) - 1n;
  const { x0, bits } = softmax;
  const one = (1n << BigInt(bits - 1)) - 1n;
  return BigInt(keys) * (BigInt(-x0) << 15n) < 1n << 31n ? one : BigInt(keys) * one;
}
