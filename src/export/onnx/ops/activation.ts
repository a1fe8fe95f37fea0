import type { ActivationOp } from '../../../program/types.js';
import { shiftPositive } from '../arithmetic.js';
import { asMatrix, requantized } from '../value.js';
import type { WriteOp } from './definition.js';

/** The product of a step and a remainder is above −2^30; 2^30 is added before the shift, 2^15 taken off after it. */
const RAISE = 1 << 30;

export const activation: WriteOp<ActivationOp> = (g, op, [value]) => {
  const { knots, spacing, cols } = op;
  const x = asMatrix(g, value, cols);
  const a = g.op('Abs', [x], 'int32');
  const i = g.with('Min', shiftPositive(g, a, spacing), knots.length);
  const r = g.with('Mul', g.with('BitwiseAnd', a, (1 << spacing) - 1), 1 << (15 - spacing));
  // From the last step on H is 0, and stays 0.
  const ends = [...knots, 0, 0];
  const table = (of: (at: number) => number) =>
    g.gather(
      g.constant(
        Int32Array.from({ length: knots.length + 1 }, (_, at) => of(at)),
        [knots.length + 1],
      ),
      i,
    );
  const low = table((at) => ends[at] - (RAISE >> 15));
  const step = table((at) => ends[at + 1] - ends[at]);
  const along = shiftPositive(g, g.with('Add', g.binary('Mul', step, r), RAISE + (1 << 14)), 15);
  const y = g.binary('Sub', g.with('Max', x, 0), g.binary('Add', low, along));
  return requantized(g, op, y);
};
