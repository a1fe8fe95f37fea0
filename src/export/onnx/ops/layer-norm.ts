import type { LayerNormOp } from '../../../program/types.js';
import { normalizeRows } from '../normalize.js';
import { asMatrix, requantized } from '../value.js';
import type { WriteOp } from './definition.js';

export const layerNorm: WriteOp<LayerNormOp> = (g, op, [x]) => {
  const { cols: length, center, epsilon } = op;
  return requantized(g, op, normalizeRows(g, asMatrix(g, x, length), { length, center, epsilon, bits: 24 }));
};
