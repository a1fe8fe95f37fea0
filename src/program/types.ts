/**
 * The integer program: everything inference needs, as plain typed data. Op i writes value i + 1; value 0 is the image,
 * `u8` pixels, [height·width, channels]. Values are flat row-major buffers with a nominal shape [rows, cols]; an op may
 * re-read its operand with another row length, as long as the element count agrees.
 *
 * Notation used throughout: requantization of v in channel n is
 *
 *     requantize(v, n) = (v·multiplier[n] + 2^(shift−1) + offset[n]) >> shift        (offset: where the op has one)
 *
 * with a 64-bit product and an arithmetic shift (floor). `multiplier/2^shift` is the dyadic number b/2^c of I-ViT;
 * the channels of one op share c, so that a SIMD unit without per-lane shifts can run it.
 */
export interface Program {
  readonly input: { readonly height: number; readonly width: number; readonly channels: number };
  readonly ops: readonly Op[];
  /** The value that holds the logits (or features): type i32, one common scale. */
  readonly output: ValueId;
}

/** 0 is the image; i + 1 is what op i writes. */
export type ValueId = number;

/**
 * What an op writes, after `requantize`:
 * - `u8`: clamp(r + zero, 0, 255): codes of a linear layer's input, real value (code − zero)·scale[n];
 * - `i8`: clamp(r, −127, 127): operands of attention;
 * - `i16`: clamp(r, −32767, 32767): an activation's input (fixed point), or a linear layer's input at 16 bits;
 * - `i32`: clamp(r, ±(2^24 − 1)): the residual stream, logits, every wide value;
 * - `rows`: dynamic. û = clamp(r, ±(2^22 − 1)) is quantized by its own row's maximum (see `quantizeRow`): codes u8 with
 *   zero 128, and beside them one i32 row scale M' a row.
 */
export type Output =
  | { readonly type: 'u8'; readonly zero: number }
  | { readonly type: 'i8' }
  | { readonly type: 'i16' }
  | { readonly type: 'i32' }
  | { readonly type: 'rows' };

export type ValueType = Output['type'];

interface OpBase {
  /** The layer's name in the float graph, for reports. Unique. */
  readonly name: string;
  /** Nominal shape of the value written. */
  readonly rows: number;
  readonly cols: number;
  readonly out: Output;
}

/**
 * Cuts the image into patches: row p = (py, px) holds kernel·kernel·channels pixels in (ky, kx, channel) order, read at
 * (py·stride − padTop + ky·dilation, …); pixels outside the image read 0. Writes `u8` with zero 0.
 */
export interface PatchesOp extends OpBase {
  readonly op: 'patches';
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  /** top, left. */
  readonly pad: readonly [number, number];
  readonly dilation: readonly [number, number];
  /** Patches down, patches across. */
  readonly outSize: readonly [number, number];
}

/**
 * A linear layer. x is `u8` (acc = bias[n] + Σ (x − zero)·w), `i16` (acc = bias[n] + Σ x·w, the kernels split x into two
 * 8-bit planes), or `rows`: acc = bias[n] + ((M'·Σ (x − 128)·w + 2^(rowShift−1)) >> rowShift).
 * |acc| < 2^31, proven from the weights (`i16`: |acc| < 2^40). Then requantize by `multiplier`, `shift`.
 * With `residual` (a value of type i32, same shape, `out` i32) the clamped result is added to it and the sum clamped
 * again.
 */
export interface LinearOp extends OpBase {
  readonly op: 'linear';
  readonly x: ValueId;
  /** [cols, inFeatures] row-major, in [−127, 127]. */
  readonly weight: Int8Array;
  readonly inFeatures: number;
  /** Bits the file stores each weight in: 4, 6 or 8. */
  readonly weightBits: number;
  readonly bias: Int32Array;
  readonly multiplier: Int32Array;
  readonly shift: number;
  /** Only read where x is `rows`, else 0. 0 to 31. */
  readonly rowShift: number;
  readonly residual: ValueId | null;
}

/** A constant value: class and register tokens, learned queries, position embeddings. `i32` or `i8`. */
export interface ConstantOp extends OpBase {
  readonly op: 'constant';
  readonly data: Int32Array | Int8Array;
}

/**
 * I-LayerNorm over runs of `cols` elements of an i32 value (see `normalizeRow`), then requantize with `offset` (β).
 * With `center` false no mean is taken off: the integer L2 norm.
 */
export interface LayerNormOp extends OpBase {
  readonly op: 'layerNorm';
  readonly x: ValueId;
  readonly center: boolean;
  /** round(ε·cols/S²), added to the sum of squares. At most 2^53. */
  readonly epsilon: bigint;
  readonly multiplier: Int32Array;
  readonly offset: BigInt64Array;
  readonly shift: number;
}

/**
 * An activation x·σ(x)-like: y = max(x, 0) − H(|x|), H even, given by 64 knots at multiples of 2^spacing, linear between
 * them, 0 from 64·2^spacing on (see `activate`). x is `i16`; y has x's fraction bits. Then requantize with `offset`.
 */
export interface ActivationOp extends OpBase {
  readonly op: 'activation';
  readonly x: ValueId;
  /** H at 0, 2^spacing, 2·2^spacing, … 63·2^spacing; H(64·2^spacing) = 0. */
  readonly knots: Int16Array;
  /** 0 to 15. */
  readonly spacing: number;
  readonly multiplier: Int32Array;
  /** Per channel: an input range need not be symmetric, nor the same for all channels; the next layer's bias takes it back. */
  readonly offset: BigInt64Array;
  readonly shift: number;
}

/** The published I-LayerNorm over runs of `cols` elements of an i32 value (see `paperNormRow`): ten iterations, no ε. */
export interface PaperNormOp extends OpBase {
  readonly op: 'paperNorm';
  readonly x: ValueId;
  readonly multiplier: Int32Array;
  readonly offset: BigInt64Array;
  readonly shift: number;
}

/** The published ShiftGELU over runs of `cols` elements of an i8 value of one scale S (see `shiftGeluRow`), in units of S·2^−7. */
export interface PaperGeluOp extends OpBase {
  readonly op: 'paperGelu';
  readonly x: ValueId;
  /** ⌊−1/(1.702·S)⌋: −2^15 to −1. */
  readonly x0: number;
  readonly multiplier: Int32Array;
  readonly offset: BigInt64Array;
  readonly shift: number;
}

/** Where attention finds an operand; the same as the float graph's `AttentionView`, on an i8 value of `stride` columns. */
export interface OperandView {
  readonly x: ValueId;
  /** Row length of the source. */
  readonly stride: number;
  readonly rows: Int32Array | null;
  readonly offset: number;
  readonly headStride: number;
}

/** The kernels of one softmax: `shift` is Shiftmax (linear mantissa), `quadratic` adds the second-order term. */
export type SoftmaxKind = 'shift' | 'quadratic';

/** Bits of a softmax weight: 8, dithered, or 12, two planes of which are multiplied. */
export type SoftmaxBits = 8 | 12;

/** Shiftmax as published (see `shiftmaxRow`): scores are 8-bit integers of one scale S. */
export interface PaperSoftmax {
  readonly kind: 'paper';
  /** ⌊−1/S⌋: −2^15 to −1. */
  readonly x0: number;
  /** Bits of the softmax, sign included. */
  readonly bits: 8 | 16;
}

/**
 * Attention of `batch` windows × `heads` heads, see `attendRow` for the exact steps:
 * scores s = Σ q·k; x = ((s·scoreMultiplier[h] + 2^(scoreShift−1)) >> scoreShift) + bias, in log2 units of
 * 2^−fractionBits; weights w = exponential(max − x) of softmaxBits bits; o = Σ w·v normalised by Σw; requantize.
 *
 * With the published softmax x is clamped to ±127, w = Shiftmax of the row in units of 2^−(bits−1), and o = Σ w·v as it is.
 */
export interface AttentionOp extends OpBase {
  readonly op: 'attention';
  readonly q: OperandView;
  readonly k: OperandView;
  readonly v: OperandView;
  readonly batch: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly dim: number;
  readonly valueDim: number;
  readonly softmax: SoftmaxKind | PaperSoftmax;
  /** Of the softmax's weights; 8 with the published softmax, which has its own. */
  readonly softmaxBits: SoftmaxBits;
  /** 8 to 11; 0 with the published softmax, whose scores are in units of S. */
  readonly fractionBits: number;
  /** [heads]. */
  readonly scoreMultiplier: Int32Array;
  readonly scoreShift: number;
  /** [biasBatch, biasHeads, queries, keys] in the score's unit, within ±2^28, or null. */
  readonly bias: Int32Array | null;
  readonly biasBatch: number;
  readonly biasHeads: number;
  readonly multiplier: Int32Array;
  readonly shift: number;
}

/** clamp(a + b, ±(2^24 − 1)) of two i32 values; one of them may be a constant. */
export interface AddOp extends OpBase {
  readonly op: 'add';
  readonly a: ValueId;
  readonly b: ValueId;
}

/** Requantizes an i32 value per channel, with `offset`: quantization without a norm before it, and affine maps. */
export interface RescaleOp extends OpBase {
  readonly op: 'rescale';
  readonly x: ValueId;
  readonly multiplier: Int32Array;
  readonly offset: BigInt64Array;
  readonly shift: number;
}

/** The sum of every `group` successive rows of an i32 value, requantized by one multiplier (1/group in it). */
export interface MeanRowsOp extends OpBase {
  readonly op: 'meanRows';
  readonly x: ValueId;
  readonly group: number;
  readonly multiplier: Int32Array;
  readonly shift: number;
}

/**
 * Exact layout: the sources, laid end to end, are cut into pieces of `piece` elements; piece i of the result is piece
 * index[i], or `fill` where that is −1. All sources have the type written.
 */
export interface GatherOp extends OpBase {
  readonly op: 'gather';
  readonly sources: readonly ValueId[];
  readonly piece: number;
  readonly index: Int32Array;
  readonly fill: number;
}

export type Op =
  | PatchesOp
  | LinearOp
  | ConstantOp
  | LayerNormOp
  | ActivationOp
  | PaperNormOp
  | PaperGeluOp
  | AttentionOp
  | AddOp
  | RescaleOp
  | MeanRowsOp
  | GatherOp;
