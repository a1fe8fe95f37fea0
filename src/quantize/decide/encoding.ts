/** How a value is written: its type, and what its quantized values mean. */
import type { Output } from '../../program/types.js';

/** How quantized values map to real numbers: real = (q − zero)·scale[c] + center[c] (dynamic rows: (q − 128)·M'). */
export interface ChannelScales {
  /** [channels]. */
  readonly scale: Float64Array;
  /** [channels]. */
  readonly center: Float64Array;
}

/** Quantized values on either side of the zero point. */
export const QUANTIZED_LIMIT = 127;
/** The same for 16 bits. */
export const QUANTIZED_LIMIT_16 = 32767;

/** Fraction bits of an activation's input that are enough for its curve; values near to zero have more. */
export const CURVE_BITS = 12;

/** The type and scales of a value. */
export type Encoding = { readonly out: Output } & ChannelScales;

/** One scale for all channels, centred on zero. */
export function uniformScales(cols: number, scale: number): ChannelScales {
  return { scale: new Float64Array(cols).fill(scale), center: new Float64Array(cols) };
}

/** What one step of the integers means once an op has written them: û of a dynamic row is q·M'/127. */
export function writtenScales({ out, scale, center }: Encoding): ChannelScales {
  return { scale: out.type === 'rows' ? scale.map((s) => s / QUANTIZED_LIMIT) : scale, center };
}
