import type { Expr } from '../expr.js';
import type { Operator } from '../operator.js';
import { Unsupported } from '../problems.js';
import type { Idiom } from './idiom.js';

/** ONNX Runtime's product with transposed operands and a factor. */
export const fusedMatMul: Idiom = {
  name: 'FusedMatMul',
  operators: { 'com.microsoft::FusedMatMul': fused, 'com.microsoft::TransposeMatMul': fused },
};

function fused(c: Parameters<Operator>[0]): Expr {
  if (c.int('transBatchA', 0) === 1 || c.int('transBatchB', 0) === 1)
    throw new Unsupported('transposed batch axes', 'optimise the model at ORT_ENABLE_BASIC instead');
  const operand = (i: number, name: string): Expr => {
    const x = c.input(i);
    const { length } = x.shape;
    if (c.int(name, 0) !== 1) return x;
    return c.b.transpose(
      x,
      x.shape.map((_, axis) => (axis < length - 2 ? axis : 2 * length - 3 - axis)),
    );
  };
  return c.b.mul(c.b.matmul(operand(0, 'transA'), operand(1, 'transB')), c.b.scalar(c.float('alpha', 1)));
}
