import { WIDE_LIMIT } from '../../../program/limits.js';
import type { AddOp } from '../../../program/types.js';
import { asMatrix } from '../value.js';
import type { WriteOp } from './definition.js';

export const add: WriteOp<AddOp> = (g, { out, rows, cols }, [a, b]) => {
  const sum = g.binary('Add', asMatrix(g, a, cols), asMatrix(g, b, cols));
  return { out, rows, cols, data: g.clip(sum, -WIDE_LIMIT, WIDE_LIMIT), rowScale: null };
};
