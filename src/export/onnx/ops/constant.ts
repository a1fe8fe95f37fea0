import type { ConstantOp } from '../../../program/types.js';
import type { WriteOp } from './definition.js';

export const constant: WriteOp<ConstantOp> = (g, { out, rows, cols, data }) => {
  const stored = data instanceof Int8Array ? data : Int32Array.from(data);
  return { out, rows, cols, data: g.constant(stored, [rows, cols]), rowScale: null };
};
