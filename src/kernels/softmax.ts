import type { SoftmaxOp } from '../program/types.js';
import { scaleScore, softmaxMantissa } from './attention.js';
import { divideBig } from './dyadic.js';

/** From so many whole log2 units below the maximum on, a weight is 0. */
const REACH = 22;

/**
 * Softmax of one row in units of 2^−16. With p fraction bits, as attention has it:
 *
 *     x' = scaleScore(x),  d = max x' − x',  q = d >> p,  m = the mantissa of d in Q14
 *     e = (m << 8) >> q    (0 from q = 22 on),  s = Σ e
 *     v = ⌊(e·2^16 + ⌊s/2⌋) / s⌋
 *
 * The maximum has e = 2^22, so that s ≥ 2^22 and 0 ≤ v ≤ 2^16.
 *
 * @param out v, overwritten
 */
export function softmaxRow(
  x: Int32Array,
  op: Pick<SoftmaxOp, 'kind' | 'fractionBits' | 'scoreMultiplier' | 'scoreShift'>,
  out: Int32Array,
): void {
  const scores = x.map((value) => scaleScore(value, op.scoreMultiplier, op.scoreShift, 0));
  let max = scores[0];
  for (const score of scores) max = Math.max(max, score);
  let sum = 0;
  for (let n = 0; n < x.length; n++) {
    out[n] = weight(max - scores[n], op);
    sum += out[n];
  }
  const half = BigInt(sum) >> 1n;
  for (let n = 0; n < x.length; n++) out[n] = Number(divideBig((BigInt(out[n]) << 16n) + half, BigInt(sum)));
}

function weight(d: number, { fractionBits, kind }: Pick<SoftmaxOp, 'kind' | 'fractionBits'>): number {
  // d may need 32 bits without a sign.
  if (d >= REACH << fractionBits) return 0;
  return (softmaxMantissa(d, fractionBits, kind) << 8) >> (d >> fractionBits);
}
