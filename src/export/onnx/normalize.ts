import { atMost, bitLength, floorDivide, shiftSignedBy, squareRoot } from './arithmetic.js';
import type { IntegerGraph, Tensor } from './graph.js';
import { POWERS } from '../../program/proof.js';

interface Norm {
  /** Length of a row. */
  readonly length: number;
  readonly center: boolean;
  readonly epsilon: bigint;
  /** Bits of |x|. */
  readonly bits: number;
}

/** ŷ of `normalizeRow` for each row of x [rows, length], of any type. @returns int64 */
export function normalizeRows(g: IntegerGraph, x: Tensor, { length, center, epsilon, bits }: Norm): Tensor {
  const wide = g.cast(x, 'int64');
  const y = center ? g.binary('Sub', wide, roundedMean(g, wide, length, bits)) : wide;
  const squares = g.with('Add', g.reduce('ReduceSum', g.binary('Mul', y, y), 1), epsilon);
  const isNone = g.cast(g.op('Equal', [squares, g.scalar('int64', 0)], 'bool'), 'int64');
  const std = squareRoot(g, g.binary('Add', squares, isNone));
  const t = bitLength(g, std, 32);
  const byBits = (of: (t: number) => bigint): Tensor => {
    const table = BigInt64Array.from({ length: 33 }, (_, at) => of(at));
    return g.gather(g.constant(table, [33]), t);
  };
  const one = byBits((at) => POWERS[30 + at]);
  const f = atMost(g, g.binary('Div', one, std), 0x7fffffff);
  const bias = byBits((at) => (at === 0 ? 0n : POWERS[63 - at]));
  return shiftSignedBy(g, g.binary('Mul', y, f), g.cast(t, 'uint64'), bias);
}

/** ⌊(2Σx + D)/2D⌋ of each row. */
function roundedMean(g: IntegerGraph, x: Tensor, length: number, bits: number): Tensor {
  const doubled = g.with('Add', g.with('Mul', g.reduce('ReduceSum', x, 1), 2), length);
  return floorDivide(g, doubled, 2 * length, BigInt(2 * length) << BigInt(bits));
}
