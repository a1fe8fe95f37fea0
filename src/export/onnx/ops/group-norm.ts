import type { GroupNormOp } from '../../../program/types.js';
import { normalizeRows } from '../normalize.js';
import { asMatrix, requantized } from '../value.js';
import type { WriteOp } from './definition.js';

export const groupNorm: WriteOp<GroupNormOp> = (g, op, [x]) => {
  const { rows, cols, groups, epsilon } = op;
  const width = cols / groups;
  const length = rows * width;
  const apart = g.transpose(g.reshape(asMatrix(g, x, cols), [rows, groups, width]), [1, 0, 2]);
  const norm = { length, center: true, epsilon, bits: 15 };
  const normalized = g.reshape(normalizeRows(g, g.reshape(apart, [groups, length]), norm), [groups, rows, width]);
  return requantized(g, op, g.reshape(g.transpose(normalized, [1, 0, 2]), [rows, cols]));
};
