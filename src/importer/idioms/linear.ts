import { isConstant, isOperation, type Expr } from '../expr.js';
import { coarsen, permute } from '../../graph/layout.js';
import type { Lowered, Lowerer } from '../lower.js';
import { Constant } from '../constant.js';
import type { Idiom } from './idiom.js';

/** A product with a constant matrix on either side. */
export const linear: Idiom = {
  name: 'linear layer',
  lower(expr, lowerer) {
    if (!isOperation(expr, 'matmul')) return null;
    const [a, b] = expr.inputs;
    if (isConstant(b) && isMatrix(b)) {
      return multiplied(lowerer, expr, { operand: a, x: lowerer.lower(a), weight: matrix(b.value), named: b });
    }
    if (isConstant(a) && isMatrix(a)) {
      // W·x = (xᵀ·Wᵀ)ᵀ
      const swap = (shape: readonly number[]): number[] =>
        [...shape.keys()].map((i, _, { length }) => (i < length - 2 ? i : 2 * length - 3 - i));
      const swapped = (shape: readonly number[]): number[] => swap(shape).map((axis) => shape[axis]);
      const x = lowerer.rearranged(lowerer.lower(b), permute(b.shape, swap(b.shape)), swapped(b.shape));
      const product = multiplied(lowerer, expr, {
        operand: b,
        x,
        weight: Constant.transposeOf(matrix(a.value)),
        named: a,
      });
      const shape = swapped(expr.shape);
      return lowerer.rearranged({ ...product, shape }, permute(shape, swap(shape)), expr.shape);
    }
    return null;
  },
};

const isMatrix = (expr: Expr): boolean => expr.shape.slice(0, -2).every((dim) => dim === 1);

const matrix = (value: Constant): Constant =>
  value.shape.length === 2 ? value : value.reshaped(value.shape.slice(-2));

/**
 * The two sides of a product: x, where it lies and the expression it comes from; W [K, N], and the tensor it is named
 * by.
 */
interface Factors {
  readonly operand: Expr;
  readonly x: Lowered;
  readonly weight: Constant;
  readonly named: Expr;
}

/** x·W, as a linear node. */
function multiplied(lowerer: Lowerer, expr: Expr, { operand, x, weight, named }: Factors): Lowered {
  const [inFeatures, cols] = weight.shape;
  const { x: source, rows, order } = lowerer.byRows(x, inFeatures, operand);
  const transposed = Constant.transposeOf(weight).data;
  const node = {
    op: 'linear' as const,
    rows,
    cols,
    x: source,
    weight: transposed instanceof Float32Array ? transposed : Float32Array.from(transposed),
    bias: new Float32Array(cols),
    inFeatures,
  };
  const layout = coarsen({ piece: cols, index: order.index }, [rows * cols]);
  return lowerer.emit(expr, node, [named], [...x.shape.slice(0, -1), cols], layout);
}
