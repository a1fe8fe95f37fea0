import type { Encoding } from '../decide/encoding.js';
import { encodeMultipliers, encodeOffsets, type Multipliers } from './multipliers.js';

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
  const { multiplier, shift } = encodeMultipliers(
    scale.map((s, c) => unit(c) / s),
    layer,
    bits,
  );
  const offset = encodeOffsets(
    center.map((t, c) => -t / scale[c]),
    shift,
  );
  return { multiplier, shift, offset };
}
