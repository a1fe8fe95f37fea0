import { elements } from '../../../program/value.js';
import type { MixRowsOp } from '../../../program/types.js';
import { asMatrix, requantized, takePieces } from '../value.js';
import type { WriteOp } from './definition.js';

export const mixRows: WriteOp<MixRowsOp> = (g, op, [x]) => {
  const { rows, cols, taps, index, weight } = op;
  const dims = [rows, taps];
  const taken = takePieces(g, asMatrix(g, x, cols), index, { dims, pieces: elements(x) / cols, piece: cols, fill: 0 });
  const weights = g.constant(BigInt64Array.from(weight, BigInt), [rows, taps, 1]);
  return requantized(g, op, g.reduce('ReduceSum', g.binary('Mul', g.cast(taken, 'int64'), weights), 1, 0));
};
