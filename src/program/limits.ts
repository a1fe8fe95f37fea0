/** Every limit of the format and of its reader: docs/format.md lists them. */
import type { Output } from './value.js';

/** Limits of the i32 values of a program (residual stream, logits): 24 bits and a sign. */
export const WIDE_LIMIT = (1 << 24) - 1;
/** Limit of û before a dynamic row is quantized by its own maximum. */
export const ROW_LIMIT = (1 << 22) - 1;
/** Longest row of a norm: its sum of squares stays within 63 bits. */
export const MAX_NORM_LENGTH = 16384;
/** Clamp of a score in log2 units: far beyond where a weight is 0, far below overflow. */
export const SCORE_LIMIT = 1 << 30;
/** Limit of a position bias or mask in an attention's score unit. */
export const SCORE_BIAS_LIMIT = 1 << 28;
/** Largest ε of a norm, in units of its sum of squares. */
export const MAX_EPSILON = 1n << 53n;
/**
 * Elements one value of a program may have: far beyond any Vision Transformer, and what a reader must allocate at most.
 */
export const MAX_ELEMENTS = 1 << 28;

/** Fraction bits of a quotient: a dividend of 24 bits then keeps within 52. */
export const MAX_QUOTIENT_BITS = 28;
/** Of an entry of a table. */
export const TABLE_LIMIT = 1 << 21;
/** Longest sum of a matrix product of two i16 values: it stays below 2^52. */
export const MAX_INNER = 1 << 22;
/** Bytes that running a program may take, unless the user allows more: see `requireMemory`. */
export const MAX_MEMORY = 2 ** 30;
/** Times its size in the file that weights may take in memory without being counted: copied, padded and packed. */
export const WEIGHT_FACTOR = 4;

/**
 * Steps of one image, as `workOf` counts them: some 70 times those of SAM-B at 1024 × 1024, which takes the most of all
 * models that are known here.
 */
export const MAX_WORK = 2 ** 45;

/** More than any Vision Transformer takes; larger files could not be read into one buffer. */
export const MAX_FILE_BYTES = 2 ** 32;
/** The header holds no weights: anything longer is not one of ours. */
export const MAX_HEADER_BYTES = 2 ** 25;
/** Of a tensor. */
export const MAX_DIMENSIONS = 8;
/** How deep the JSON of a file may be nested: none of ours passes 8. */
export const MAX_JSON_DEPTH = 64;

/** Most ops of a program. */
export const MAX_OPS = 65536;
/** Longest side of the image, and of any window over it. */
export const MAX_INPUT_EDGE = 8192;
export const MAX_INPUT_CHANNELS = 64;
/** Longest side of a feature map, and of any window over it: places in a map stay far within 32 bits. */
export const MAX_MAP_EDGE = 16384;
/** Values that a group norm takes together: the sum of their squares, of 16 bits each, stays within 63 bits. */
export const MAX_GROUP_LENGTH = 1 << 24;

/** Largest −x0 of the published kernels: their exponentials then stay within 2^30 (Shiftmax) and 2^38 (ShiftGELU). */
export const MAX_X0 = 1 << 15;

/** Fraction bits of i-softmax's scores, and of those of softmax in float32. */
export const FINE_SCORE_BITS = 10;
/** Fraction bits of GELU's fixed-point input: the polynomial of i-GELU then keeps within 32 bits. */
export const LEAST_GELU_BITS = 6;
export const MOST_GELU_BITS = 12;
/** Of i-GELU's result: |x| ≤ 32767 times erf + 1 ≤ 2 in units of 1/28366. */
export const IBERT_GELU_LIMIT = 32767 * 2 * 28366;

/** What the requantized value of an op is clamped to, before the zero point of `u8` is added. */
export function outputRange(out: Output): { lo: number; hi: number } {
  switch (out.type) {
    case 'u8':
      return { lo: -out.zero, hi: 255 - out.zero };
    case 'i8':
      return { lo: -127, hi: 127 };
    case 'i16':
      return { lo: -32767, hi: 32767 };
    case 'i32':
      return { lo: -WIDE_LIMIT, hi: WIDE_LIMIT };
    case 'rows':
      return { lo: -ROW_LIMIT, hi: ROW_LIMIT };
  }
}
