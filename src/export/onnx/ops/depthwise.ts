import { tapsOf } from '../../../program/ops/geometry.js';
import type { DepthwiseOp } from '../../../program/types.js';
import { cutMap } from '../maps.js';
import { asMatrix, requantized } from '../value.js';
import type { WriteOp } from './definition.js';

export const depthwise: WriteOp<DepthwiseOp> = (g, op, [x]) => {
  const { cols, weight } = op;
  const cut = cutMap(g, asMatrix(g, x, cols), op, cols, 0);
  const products = g.binary('Mul', cut, g.constant(Int32Array.from(weight), [tapsOf(op), cols]));
  return requantized(g, op, g.reduce('ReduceSum', products, 1, 0));
};
