import { softmaxDither } from '../../../kernels/attention.js';
import { expInteger } from '../../../kernels/ibert.js';
import { shiftExponential } from '../../../kernels/paper-rows.js';
import { FINE_SCORE_BITS, SCORE_LIMIT } from '../../../program/limits.js';
import type { AttentionOp, IbertSoftmax, PaperSoftmax, PublishedSoftmax, SoftmaxKind } from '../../../program/types.js';
import { atMost, shiftPositive, shiftSigned } from '../arithmetic.js';
import type { IntegerGraph, Tensor } from '../graph.js';
import { multiplyBytes, multiplyWeights, signedBytes } from '../products.js';
import { belowMaximum, exponentials, scaleScores } from '../softmax.js';
import { requantized, type GraphValue } from '../value.js';
import { readView } from '../views.js';
import type { WriteOp } from './definition.js';

/** From so many whole log2 units below the maximum on, a weight is 0; see `softmaxWeight`. */
const REACH = 16;
/** The same of i-softmax. */
const IBERT_REACH = 15;
/** Clamp of the published softmax's 8-bit scores. */
const PAPER_SCORE_LIMIT = 127;
/** Fraction bits of the published softmax's exponentials. */
const PAPER_BITS = 15;

export const attention: WriteOp<AttentionOp> = (g, op, [q, k, v]) => {
  const { batch, heads, keys, valueDim, softmax } = op;
  const x = scores(g, op, q, k);
  const values = readView(g, v, op.v, { batch, tokens: keys, heads, length: valueDim }, false);
  const attended =
    typeof softmax === 'string'
      ? attend(g, { ...op, softmax }, x, values)
      : multiplyWeights(g, publishedWeights(g, x, softmax), signedBytes(g, values), softmax.bits > 8);
  const byToken = g.transpose(attended, [0, 2, 1, 3]);
  const { out, rows, cols, multiplier, shift } = op;
  return requantized(g, { out, rows, cols, multiplier, shift }, g.reshape(byToken, [rows, cols]));
};

/** Scores of every query and key in log2 units: int32 [batch, heads, queries, keys]. */
function scores(g: IntegerGraph, op: AttentionOp, q: GraphValue, k: GraphValue): Tensor {
  const { batch, heads, queries, keys, dim, bias } = op;
  const rows = readView(g, q, op.q, { batch, tokens: queries, heads, length: dim }, false);
  const columns = readView(g, k, op.k, { batch, tokens: keys, heads, length: dim }, true);
  const products = multiplyBytes(g, signedBytes(g, rows), signedBytes(g, columns));
  const multiplier = g.constant(BigInt64Array.from(op.scoreMultiplier, BigInt), [heads, 1, 1]);
  const x = scaleScores(g, products, multiplier, op.scoreShift);
  if (bias === null) return x;
  const added = g.constant(bias, [op.biasBatch, op.biasHeads, queries, keys]);
  return g.clip(g.binary('Add', x, added), -SCORE_LIMIT, SCORE_LIMIT);
}

/** Σ w·v/Σw of `normalizeSum`: int64 [batch, heads, queries, valueDim]. */
function attend(g: IntegerGraph, op: AttentionOp & { softmax: SoftmaxKind }, x: Tensor, values: Tensor): Tensor {
  const { queries, keys, fractionBits, softmax: kind, softmaxBits: bits } = op;
  const d = belowMaximum(g, x, 3, REACH << fractionBits);
  const e = exponentials(g, d, { kind, fractionBits, raise: 0, reach: REACH });
  const one = 255 << (bits - 8);
  const dither = Int32Array.from(
    { length: queries * keys },
    (_, at) => one * softmaxDither(Math.floor(at / keys), at % keys, bits) + (1 << 13),
  );
  const rounding = bits > 8 ? g.scalar('int32', 1 << 13) : g.constant(dither, [queries, keys]);
  // Never below 0: the dither is at least −32, and 255·32 < 2^13.
  const w = shiftPositive(g, g.binary('Add', g.with('Mul', e, one), rounding), 14);
  const sums = g.cast(g.reduce('ReduceSum', w, 3), 'int64');
  const reciprocals = g.binary('Div', g.scalar('int64', 2147483648 * (1 << (bits - 8))), sums);
  const weighted = g.cast(multiplyWeights(g, w, signedBytes(g, values), bits > 8), 'int64');
  return shiftSigned(g, g.with('Add', g.binary('Mul', weighted, reciprocals), 1 << (bits - 1)), bits);
}

/** int32 [batch, heads, queries, keys]. */
function publishedWeights(g: IntegerGraph, x: Tensor, softmax: PublishedSoftmax): Tensor {
  if (softmax.kind === 'float') throw new RangeError('Expected an attention of integers');
  return softmax.kind === 'paper' ? shiftmaxWeights(g, x, softmax) : ibertWeights(g, x, softmax);
}

/** `softmaxInteger`. Its exponentials are a table. */
function ibertWeights(g: IntegerGraph, x: Tensor, { bits }: IbertSoftmax): Tensor {
  const reach = IBERT_REACH << FINE_SCORE_BITS;
  const table = BigInt64Array.from({ length: reach + 1 }, (_, d) => BigInt(expInteger(d)));
  const e = g.gather(g.constant(table, [table.length]), belowMaximum(g, x, 3, reach));
  const factors = g.binary('Div', g.scalar('int64', 2 ** 32 - 1), g.reduce('ReduceSum', e, 3));
  return g.cast(shiftPositive(g, g.binary('Mul', e, factors), 32 - bits), 'int32');
}

/** `shiftmaxRow`. */
function shiftmaxWeights(g: IntegerGraph, x: Tensor, { x0, bits }: PaperSoftmax): Tensor {
  const clamped = g.clip(x, -PAPER_SCORE_LIMIT, PAPER_SCORE_LIMIT);
  const d = belowMaximum(g, clamped, 3, 2 * PAPER_SCORE_LIMIT);
  const table = BigInt64Array.from({ length: 2 * PAPER_SCORE_LIMIT + 1 }, (_, at) =>
    shiftExponential(BigInt(-at), BigInt(x0), BigInt(PAPER_BITS)),
  );
  const e = g.gather(g.constant(table, [table.length]), d);
  const sums = atMost(g, g.reduce('ReduceSum', e, 3), 0x7fffffff);
  const factors = g.binary('Div', g.scalar('int64', 0x7fffffff), sums);
  return g.cast(shiftPositive(g, g.binary('Mul', e, factors), 32 - bits), 'int32');
}
