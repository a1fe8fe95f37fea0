import type { AttentionNode } from '../../graph/types.js';
import type { SoftmaxKind } from '../../program/types.js';
import type { QuantizeOptions } from '../options.js';
import { CODE_LIMIT } from '../decide/scales.js';

/** Fraction bits of scores in log2 units. */
export const SCORE_BITS = 10;
/** Most keys for which sums of values times 12-bit weights fit 32 bits: 127·16·255·4096 < 2^31. */
export const MAX_FINE_KEYS = 4096;
/** The real value of one step of a score. */
export const SCORE_UNIT = 1 / (Math.LOG2E * 2 ** SCORE_BITS);

/** The softmax of our own kernels. */
export function softmaxKind({ kernels }: Pick<QuantizeOptions, 'kernels'>): SoftmaxKind {
  return kernels === 'lut' ? 'quadratic' : 'shift';
}

/** Score multipliers in few bits, rounded up, so that |score·b| fits 32 bits whatever q and k. */
export function scoreMultipliers(wanted: Float64Array, node: AttentionNode): { multiplier: Int32Array; shift: number } {
  const bits = Math.max(1, 31 - 1 - Math.ceil(Math.log2(node.dim * CODE_LIMIT * CODE_LIMIT)));
  const max = wanted.reduce((a, b) => Math.max(a, b), 0);
  if (!(max > 0) || !Number.isFinite(max)) return { multiplier: new Int32Array(wanted.length), shift: 1 };
  const shift = Math.max(1, Math.min(62, bits - Math.floor(Math.log2(max)) - 1));
  // The small excess keeps an exact value from being rounded up once more.
  return { multiplier: Int32Array.from(wanted, (w) => Math.ceil(w * 2 ** shift * (1 - 1e-9))), shift };
}

/** Position bias and masks in the scores' unit, within what the program allows. */
export function scoreBias(bias: Float32Array, unit: number): Int32Array {
  const limit = 2 ** 28;
  return Int32Array.from(bias, (b) => Math.max(-limit, Math.min(limit, Math.round(b / unit))));
}
