import { extentOf } from '../../../program/ops/matmul.js';
import type { MatmulOp } from '../../../program/types.js';
import { requantized } from '../value.js';
import { readView } from '../views.js';
import type { WriteOp } from './definition.js';

export const matmul: WriteOp<MatmulOp> = (g, op, [a, b]) => {
  const { batch, heads, m, n, k, rows, cols } = op;
  const isTransposed = { a: op.a.transposed === true, b: op.b.transposed === true };
  const x = readView(g, a, op.a, { batch, heads, ...extentOf(op.a, m, k) }, isTransposed.a);
  const y = readView(g, b, op.b, { batch, heads, ...extentOf(op.b, n, k) }, !isTransposed.b);
  // [batch, heads, m, k]·[batch, heads, k, n]
  const products = g.binary('MatMul', g.cast(x, 'int64'), g.cast(y, 'int64'));
  return requantized(g, op, g.reshape(g.transpose(products, [0, 2, 1, 3]), [rows, cols]));
};
