import type { LookupOp } from '../../../program/types.js';
import { shiftPositive } from '../arithmetic.js';
import { asMatrix, requantized } from '../value.js';
import type { WriteOp } from './definition.js';

/** The product of a step and a fraction is above −2^30; 2^30 is added before the shift, 2^22 taken off after it. */
const RAISE = 1 << 30;

export const lookup: WriteOp<LookupOp> = (g, op, [x]) => {
  const { table, cols } = op;
  const u = g.with('Add', asMatrix(g, x, cols), 1 << 15);
  const i = shiftPositive(g, u, 8);
  const count = table.length - 1;
  const entries = (of: (at: number) => number) =>
    g.gather(
      g.constant(
        Int32Array.from({ length: count }, (_, at) => of(at)),
        [count],
      ),
      i,
    );
  const low = entries((at) => table[at] - (RAISE >> 8));
  const step = entries((at) => table[at + 1] - table[at]);
  const product = g.binary('Mul', step, g.with('BitwiseAnd', u, 255));
  return requantized(g, op, g.binary('Add', low, shiftPositive(g, g.with('Add', product, RAISE + 128), 8)));
};
