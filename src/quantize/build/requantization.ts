import type { Encoding } from '../decide/encoding.js';
import { encodeFactorsAndOffsets, type Multipliers } from './multipliers.js';

/**
 * The requantization of results of which one step is worth `unit(c)` in channel c.
 *
 * @param bits of the largest multiplier; see `encodeMultipliers`
 */
export function requantizeTo(
  { scale, center }: Encoding,
  unit: (c: number) => number,
  layer: string,
  bits = 31,
): Multipliers & { readonly offset: BigInt64Array } {
  return encodeFactorsAndOffsets(
    scale.map((s, c) => unit(c) / s),
    center.map((t, c) => -t / scale[c]),
    layer,
    bits,
  );
}
