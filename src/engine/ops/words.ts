/** Words that several ops have in common: the order of native/generated.h. */
import { outputRange } from '../../program/limits.js';
import type { OperandView, Output, ValueType } from '../../program/types.js';

/** The values of `ivit_type`. */
export const TYPES: readonly ValueType[] = ['u8', 'i8', 'i16', 'i32', 'rows'];

export const typeWord = (out: Output): number => TYPES.indexOf(out.type);

/** Words of an output. */
export const OUTPUT_WORDS = { type: 1, lo: 1, hi: 1, zero: 1, shift: 1 };
/** Words of a view. */
export const VIEW_WORDS = { stride: 1, offset: 1, headStride: 1, rowCount: 1 };

/** How many words a layout takes. */
export const countOf = (layout: Readonly<Record<string, number>>): number =>
  Object.values(layout).reduce((sum, count) => sum + count, 0);

/** See `OUTPUT_WORDS`. */
export function outputWords(out: Output, shift: number): number[] {
  const { lo, hi } = outputRange(out);
  return [typeWord(out), lo, hi, out.type === 'u8' ? out.zero : 0, shift];
}

/** See `VIEW_WORDS`; a count of 0: no rows are given. */
export function viewWords(view: OperandView): number[] {
  return [view.stride, view.offset, view.headStride, view.rows?.length ?? 0];
}

/** The low and the high 32 bits. */
export function halves(v: bigint): [number, number] {
  return [Number(BigInt.asIntN(32, v)), Number(BigInt.asIntN(32, v >> 32n))];
}
