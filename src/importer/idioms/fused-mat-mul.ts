import type { Expr } from '../expr.js';
import type { Operator } from '../operator.js';
import type { Idiom } from './idiom.js';

/** ONNX Runtime's product with transposed operands and a factor. */
export const fusedMatMul: Idiom = {
  name: 'FusedMatMul',
  operators: { 'com.microsoft::FusedMatMul': fused, 'com.microsoft::TransposeMatMul': fused },
};

/**
 * Batch axes are transposed first: the leading axis of an operand [rows, …batch, columns] moves before the last one.
 */
function fused(c: Parameters<Operator>[0]): Expr {
  const operand = (i: number, rows: string, batch: string): Expr => {
    const x = c.input(i);
    const axes = [...x.shape.keys()];
    const last = axes.splice(-1);
    if (c.int(batch, 0) === 1) axes.push(...axes.splice(0, 1));
    const perm = [...axes, ...last];
    if (c.int(rows, 0) === 1) perm.push(...perm.splice(-2, 1));
    return c.b.transpose(x, perm);
  };
  const product = c.b.matmul(operand(0, 'transA', 'transBatchA'), operand(1, 'transB', 'transBatchB'));
  return c.b.mul(product, c.b.scalar(c.float('alpha', 1)));
}
