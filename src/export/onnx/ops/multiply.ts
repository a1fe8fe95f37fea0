import type { MultiplyOp } from '../../../program/types.js';
import { combine } from '../broadcast.js';
import { requantized } from '../value.js';
import type { WriteOp } from './definition.js';

export const multiply: WriteOp<MultiplyOp> = (g, op, operands) =>
  requantized(
    g,
    op,
    combine(g, op, operands, (a, b) => g.binary('Mul', a, b)),
  );
