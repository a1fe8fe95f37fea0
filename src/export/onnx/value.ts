/** How values of a program are held in the graph. */
import { outputRange } from '../../program/limits.js';
import type { Output } from '../../program/types.js';
import type { ValueInfo } from '../../program/value.js';
import { bitLength, requantize, shiftUnsigned } from './arithmetic.js';
import type { IntegerGraph, Tensor } from './graph.js';

/** A value: [rows, cols] of `held(out)`. */
export interface GraphValue extends ValueInfo {
  readonly data: Tensor;
  /** M' of each row, int32 [rows, 1], where `out` is dynamic, else null. */
  readonly rowScale: Tensor | null;
}

/** The type that a value is held in: ONNX Runtime has hardly any operator for 16 bits. */
export function held({ type }: Output): 'uint8' | 'int8' | 'int32' {
  return type === 'u8' || type === 'rows' ? 'uint8' : type === 'i8' ? 'int8' : 'int32';
}

/** A value read with another row length: [elements/cols, cols]. */
export function asMatrix(g: IntegerGraph, value: GraphValue, cols: number): Tensor {
  return value.cols === cols ? value.data : g.reshape(value.data, [-1, cols]);
}

type Requantizing = ValueInfo & {
  readonly multiplier: Int32Array;
  readonly offset?: BigInt64Array;
  readonly shift: number;
};

/** Requantizes v [rows, cols], of type int32 or int64, and clamps it. @returns int32 */
export function requantizeTo(g: IntegerGraph, op: Requantizing, v: Tensor): Tensor {
  return requantize(g, v, op, outputRange(op.out));
}

/** The value that an op writes once it has requantized v. */
export function requantized(g: IntegerGraph, op: Requantizing, v: Tensor): GraphValue {
  return written(g, op, requantizeTo(g, op, v));
}

/** What is stored of clamped integers r [rows, cols], of type int32. */
export function written(g: IntegerGraph, { out, rows, cols }: ValueInfo, r: Tensor): GraphValue {
  if (out.type === 'rows') return { out, rows, cols, ...quantizeRows(g, r) };
  const stored = out.type === 'u8' && out.zero > 0 ? g.with('Add', r, out.zero) : r;
  return { out, rows, cols, data: g.cast(stored, held(out)), rowScale: null };
}

/** Bits of û. */
const MOST_BITS = 22;

/**
 * Quantizes each row û by its own maximum, see `quantizeRow`. Turning the sign bit over adds 128·2^24, which is the
 * zero point, and leaves no number with a sign.
 */
function quantizeRows(g: IntegerGraph, r: Tensor): { readonly data: Tensor; readonly rowScale: Tensor } {
  const max = g.with('Max', g.reduce('ReduceMax', g.op('Abs', [r], 'int32'), 1), 1);
  // 2^e, the unit of eight bits, of each bit length.
  const units = Int32Array.from({ length: MOST_BITS + 1 }, (_, bits) => 1 << Math.max(0, bits - 8));
  const unit = g.gather(g.constant(units, [units.length]), bitLength(g, max, MOST_BITS));
  const whole = g.binary('Div', g.binary('Add', max, g.with('Sub', unit, 1)), unit);
  const rowScale = g.binary('Mul', whole, unit);
  const m = g.binary('Div', g.scalar('int32', 127 << 24), rowScale);
  const product = g.with('Add', g.binary('Mul', r, m), 1 << 23);
  const raised = g.cast(g.with('BitwiseXor', product, -(2 ** 31)), 'uint32');
  return { data: g.cast(shiftUnsigned(g, raised, g.scalar('uint32', 24)), 'uint8'), rowScale };
}

/** Pieces of a tensor [pieces, piece] by their index; those of −1 hold `fill`. @param dims of the index */
export function takePieces(
  g: IntegerGraph,
  x: Tensor,
  index: Int32Array,
  { dims, pieces, piece, fill }: Pieces,
): Tensor {
  if (!index.includes(-1)) return g.gather(x, g.constant(index, dims));
  const filled = g.op('Expand', [g.scalar(x.type, fill), g.list([1, piece])], x.type);
  const all = g.op('Concat', [x, filled], x.type, { axis: 0 });
  const mapped = index.map((from) => (from < 0 ? pieces : from));
  return g.gather(all, g.constant(mapped, dims));
}

interface Pieces {
  readonly dims: readonly number[];
  readonly pieces: number;
  readonly piece: number;
  readonly fill: number;
}
