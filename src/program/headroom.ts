import { proveBounds } from './bounds.js';
import { greatest } from './proof.js';
import type { Op, Program } from './types.js';
import { valuesOf } from './validate.js';
import type { ValueInfo } from './value.js';

/** How far the integers of an op can reach, for any image, and the widths that hold them; bits without the sign. */
export interface Headroom {
  readonly name: string;
  readonly op: Op['op'];
  /** Of what is requantized: accumulator, normalized value, sum. Null: nothing is. */
  readonly accumulator: { readonly bits: number; readonly width: number } | null;
  /** Of the product with the multiplier, the rounding term and the offset added. */
  readonly product: { readonly bits: number; readonly width: number } | null;
  /** The least of what both leave. */
  readonly spare: number | null;
}

const PRODUCT_WIDTH = 63;

/** @param program one that `validateProgram` has passed. @throws InputError for an op that can overflow */
export function headroomOf(program: Program): Headroom[] {
  const values = valuesOf(program);
  return proveBounds(program).map((bound, i) => headroomOfOp(program.ops[i], bound, values));
}

function headroomOfOp(op: Op, bound: bigint, values: readonly ValueInfo[]): Headroom {
  const { name } = op;
  if (!('multiplier' in op) || !('shift' in op))
    return { name, op: op.op, accumulator: null, product: null, spare: null };
  const accumulator = { bits: bitsOf(bound), width: widthOf(op, values) };
  const offset = 'offset' in op ? greatest(op.offset) : 0n;
  const sum = bound * greatest(op.multiplier) + (1n << BigInt(op.shift - 1)) + offset;
  // Channel by channel it is proven; the greatest of all channels together may be more than any one has.
  const product = { bits: Math.min(bitsOf(sum), PRODUCT_WIDTH), width: PRODUCT_WIDTH };
  const spare = Math.min(accumulator.width - accumulator.bits, product.width - product.bits);
  return { name, op: op.op, accumulator, product, spare };
}

/** Linear layers add in 32 bits, from two planes of 16-bit inputs in 41; what else is requantized has 64. */
function widthOf(op: Op, values: readonly ValueInfo[]): number {
  if (op.op !== 'linear') return PRODUCT_WIDTH;
  return values[op.x].out.type === 'i16' ? 40 : 31;
}

function bitsOf(magnitude: bigint): number {
  return magnitude === 0n ? 0 : magnitude.toString(2).length;
}
