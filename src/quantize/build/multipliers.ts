import { InputError } from '../../errors.js';

/** Numbers as wild as that come of other images than the model was trained for, or of damaged weights. */
const CHECK = 'check the model and its pre-processing';

/** Multipliers of one op as dyadic numbers with a common shift. */
export interface Multipliers {
  readonly multiplier: Int32Array;
  readonly shift: number;
}

/**
 * Writes real factors as b[n]/2^c with one c: the largest factor gets 31 bits, c ≤ 62.
 *
 * @param bits bits of the largest b (31: full precision)
 * @throws InputError where a factor is not finite or ≥ 2^30
 */
export function encodeMultipliers(factors: ArrayLike<number>, layer: string, bits = 31): Multipliers {
  let max = 0;
  for (let i = 0; i < factors.length; i++) {
    const f = Math.abs(factors[i]);
    if (!Number.isFinite(f)) throw new InputError(`layer ${layer}: a scale is not a finite number: ${CHECK}`);
    if (f > max) max = f;
  }
  if (max === 0) return { multiplier: new Int32Array(factors.length), shift: 1 };
  // max = f·2^e with ½ ≤ f < 1; one bit is kept back so that rounding up can't reach 2^31.
  const e = Math.floor(Math.log2(max)) + 1;
  const shift = Math.min(62, bits - e - (Math.round(max * 2 ** (bits - e)) >= 2 ** bits ? 1 : 0));
  if (shift < 1)
    throw new InputError(
      `layer ${layer}: a scale ratio of ${max.toExponential(2)} is too large for a dyadic number: ${CHECK}`,
    );
  const multiplier = Int32Array.from(factors, (f) => Math.round(f * 2 ** shift));
  return { multiplier, shift };
}

/** Offsets stay below 2^62, so that a product of 31 by 31 bits and an offset fit 64. */
const OFFSET_BITS = 62;

/**
 * Real factors and offsets, in units of the op's output, as x·b[n]/2^c + offset[n]/2^c. Where factors are next to
 * nothing beside offsets, as those of dead channels are, c is as large as the offsets allow.
 *
 * @param bits see `encodeMultipliers`
 * @throws InputError where a factor or an offset is too large
 */
export function encodeFactorsAndOffsets(
  factors: ArrayLike<number>,
  offsets: Float64Array,
  layer: string,
  bits = 31,
): Multipliers & { readonly offset: BigInt64Array } {
  let { multiplier, shift } = encodeMultipliers(factors, layer, bits);
  const reach = offsets.reduce((most, offset) => Math.max(most, Math.abs(offset)), 0);
  if (!(reach < 2 ** (OFFSET_BITS - 1)))
    throw new InputError(`layer ${layer}: an offset is too large or no number: ${CHECK}`);
  if (reach * 2 ** shift >= 2 ** OFFSET_BITS) {
    shift = OFFSET_BITS - 1 - Math.ceil(Math.log2(reach));
    multiplier = Int32Array.from(factors, (f) => Math.round(f * 2 ** shift));
  }
  return { multiplier, shift, offset: encodeOffsets(offsets, shift) };
}

/** A real offset, in units of the op's output, as the 64-bit integer added before the shift. */
function encodeOffsets(offsets: ArrayLike<number>, shift: number): BigInt64Array {
  return BigInt64Array.from(Array.from(offsets, (o) => toBigInt(o, shift)));
}

/** round(value·2^shift), exact for large shifts. */
function toBigInt(value: number, shift: number): bigint {
  const low = Math.min(shift, 20);
  return BigInt(Math.round(value * 2 ** low)) << BigInt(shift - low);
}
