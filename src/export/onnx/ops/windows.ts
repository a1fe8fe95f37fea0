import { tapsOf } from '../../../program/ops/geometry.js';
import type { WindowsOp } from '../../../program/types.js';
import { zeroPoint } from '../../../program/value.js';
import { cutMap } from '../maps.js';
import { asMatrix } from '../value.js';
import type { WriteOp } from './definition.js';

export const windows: WriteOp<WindowsOp> = (g, op, [x]) => {
  const { out, rows, cols } = op;
  const channels = cols / tapsOf(op);
  const cut = cutMap(g, asMatrix(g, x, channels), op, channels, zeroPoint(out));
  return { out, rows, cols, data: g.reshape(cut, [rows, cols]), rowScale: null };
};
