import type { PatchesOp } from '../../../program/types.js';
import { cutMap } from '../maps.js';
import type { WriteOp } from './definition.js';

export const patches: WriteOp<PatchesOp> = (g, op, [image], { height, width, channels }) => {
  const { rows, cols, out } = op;
  const cut = cutMap(g, image.data, { ...op, size: [height, width] }, channels, 0);
  return { out, rows, cols, data: g.reshape(cut, [rows, cols]), rowScale: null };
};
