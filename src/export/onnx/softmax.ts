/** Scores and their exponentials, as attention and softmax have them. */
import { softmaxMantissa } from '../../kernels/attention.js';
import { SCORE_LIMIT } from '../../program/limits.js';
import type { SoftmaxKind } from '../../program/types.js';
import { POWERS } from '../../program/proof.js';
import { shiftWithin } from './arithmetic.js';
import type { IntegerGraph, Tensor } from './graph.js';

/**
 * x of `scaleScore`, less the bias: clamp((s·b + 2^(c−1)) >> c, ±2^30).
 *
 * @param b int64, broadcast over s
 * @returns int32
 */
export function scaleScores(g: IntegerGraph, s: Tensor, b: Tensor, c: number): Tensor {
  const product = g.binary('Mul', g.cast(s, 'int64'), b);
  const range = { lo: -SCORE_LIMIT, hi: SCORE_LIMIT };
  return shiftWithin(g, g.with('Add', product, POWERS[c - 1]), c, range);
}

/** How far each score, |x| ≤ 2^30 of type int32, lies below the maximum along an axis, at most `most`. */
export function belowMaximum(g: IntegerGraph, x: Tensor, axis: number, most: number): Tensor {
  const max = g.reduce('ReduceMax', x, axis);
  return g.binary('Sub', max, g.binary('Max', x, g.with('Sub', max, most)));
}

/**
 * Exponentials by a table over the distance d from the maximum, in units of 2^−p: (m << raise) >> (d >> p), m of
 * `softmaxMantissa`; 0 from `reach` whole log2 units on. @returns int32
 */
export function exponentials(g: IntegerGraph, d: Tensor, { kind, fractionBits: p, raise, reach }: Exponential): Tensor {
  const table = Int32Array.from({ length: (reach << p) + 1 }, (_, at) =>
    at === reach << p ? 0 : (softmaxMantissa(at, p, kind) << raise) >> (at >> p),
  );
  return g.gather(g.constant(table, [table.length]), d);
}

interface Exponential {
  readonly kind: SoftmaxKind;
  readonly fractionBits: number;
  readonly raise: number;
  readonly reach: number;
}
