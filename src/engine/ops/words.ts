/** Words that several ops have in common: the order of native/generated.h. */
import { outputRange } from '../../program/limits.js';
import type { OperandView, Output, ValueType } from '../../program/types.js';

/** The values of `ivit_type`. */
export const TYPES: readonly ValueType[] = ['u8', 'i8', 'i16', 'i32', 'rows'];

export const typeWord = (out: Output): number => TYPES.indexOf(out.type);

/** type, lo, hi, zero, shift. */
export function outputWords(out: Output, shift: number): number[] {
  const { lo, hi } = outputRange(out);
  return [typeWord(out), lo, hi, out.type === 'u8' ? out.zero : 0, shift];
}

/** stride, offset, head stride, count of rows (0: none given). */
export function viewWords(view: OperandView): number[] {
  return [view.stride, view.offset, view.headStride, view.rows?.length ?? 0];
}

/** The low and the high 32 bits. */
export function halves(v: bigint): [number, number] {
  return [Number(BigInt.asIntN(32, v)), Number(BigInt.asIntN(32, v >> 32n))];
}
