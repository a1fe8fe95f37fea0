import { geluInteger } from '../../../kernels/ibert.js';
import type { IbertGeluOp } from '../../../program/types.js';
import { asMatrix, requantized } from '../value.js';
import type { WriteOp } from './definition.js';

const HALF = 2 ** 15;

/** See `geluInteger`: a table of its 65536 results. */
export const ibertGelu: WriteOp<IbertGeluOp> = (g, op, [value]) => {
  const table = Int32Array.from({ length: 2 * HALF }, (_, i) => (i === 0 ? 0 : geluInteger(i - HALF, op.fractionBits)));
  const index = g.with('Add', g.cast(asMatrix(g, value, op.cols), 'int32'), HALF);
  return requantized(g, op, g.gather(g.constant(table, [table.length]), index));
};
