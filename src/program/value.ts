/**
 * What the values of a program are. A value is a flat row-major buffer with a nominal shape [rows, cols]; an op may
 * re-read its operand with another row length, as long as the element count agrees.
 */

/** 0 is the image, `u8` pixels [height·width, channels]; i + 1 is what op i writes. */
export type ValueId = number;

/**
 * What an op writes, after `requantize`:
 * - `u8`: clamp(r + zero, 0, 255): quantized values of a linear layer's input, real value (q − zero)·scale[n];
 * - `i8`: clamp(r, −127, 127): operands of attention;
 * - `i16`: clamp(r, −32767, 32767): an activation's input (fixed point), or a linear layer's input at 16 bits;
 * - `i32`: clamp(r, ±(2^24 − 1)): the residual stream, logits, every other value;
 * - `rows`: per-row dynamic quantization. û = clamp(r, ±(2^22 − 1)) is quantized by its own row's maximum (see
 *   `quantizeRow`): u8 with zero 128, and beside them one i32 row scale M' a row.
 */
export type Output =
  | { readonly type: 'u8'; readonly zero: number }
  | { readonly type: 'i8' }
  | { readonly type: 'i16' }
  | { readonly type: 'i32' }
  | { readonly type: 'rows' };

export type ValueType = Output['type'];

/** Type and shape of a value. */
export interface ValueInfo {
  readonly out: Output;
  readonly rows: number;
  readonly cols: number;
}

/** What every op has. */
export interface OpBase extends ValueInfo {
  /** The layer's name in the float graph, for reports. Unique. */
  readonly name: string;
}

/** The quantized value that stands for a real zero, offset apart. */
export function zeroPoint(out: Output): number {
  return out.type === 'rows' ? 128 : out.type === 'u8' ? out.zero : 0;
}

export function elements(value: { readonly rows: number; readonly cols: number }): number {
  return value.rows * value.cols;
}

/** Bytes of one element. */
export function bytesOf(type: ValueType): number {
  return type === 'i32' ? 4 : type === 'i16' ? 2 : 1;
}

/** Any typed array a value may be held in. */
export type IntegerArray = Uint8Array | Int8Array | Int16Array | Int32Array;
