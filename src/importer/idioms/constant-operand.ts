import type { Layout } from '../../graph/layout.js';
import { broadcastShape } from '../constant.js';
import type { Constant } from '../constant.js';
import { isConstant, isOperation } from '../expr.js';
import type { Idiom } from './idiom.js';
import { timesConstant } from './product.js';

/** Sum or product with a constant: biases, LayerScale, γ and β, position embeddings. */
export const constantOperand: Idiom = {
  name: 'constant operand',
  lower(expr, lowerer) {
    if (!isOperation(expr, 'add') && !isOperation(expr, 'mul')) return null;
    const [x, operand] = expr.inputs;
    if (!isConstant(operand)) return null;
    const spread = lowerer.broadcast(lowerer.lower(x), broadcastShape(x.shape, operand.shape)!);
    const { x: source, order } = lowerer.anyOrder(spread, x);
    const { rows, cols } = lowerer.node(source);
    const row = wholeRow(operand.value, expr.shape, order, cols);
    const value = row ?? lowerer.constantInOrder(operand.value, expr.shape, order);
    const vector = row ?? perColumn(value, cols);
    if (expr.op === 'add') {
      const node = vector
        ? { op: 'affine' as const, rows, cols, x: source, scale: new Float32Array(cols).fill(1), shift: vector }
        : { op: 'addConst' as const, rows, cols, x: source, value };
      return lowerer.emit(expr, node, [operand], expr.shape, order);
    }
    if (!vector) return timesConstant(expr, lowerer);
    const node = { op: 'affine' as const, rows, cols, x: source, scale: vector, shift: new Float32Array(cols) };
    return lowerer.emit(expr, node, [operand], expr.shape, order);
  },
};

/** The row that a constant of one row, or of one number, is for all rows: as `perColumn` finds it, without copies. */
function wholeRow(value: Constant, shape: readonly number[], order: Layout, cols: number): Float32Array | null {
  if (value.size === 1) return new Float32Array(cols).fill(value.data[0]);
  const lengths = [value.size, value.shape.at(-1), shape.at(-1)];
  const isRow = lengths.every((length) => length === cols) && order.piece % cols === 0;
  return isRow ? Float32Array.from(value.data) : null;
}

/** The one row that all rows equal, or null. */
export function perColumn(value: Float32Array, cols: number): Float32Array | null {
  for (let i = cols; i < value.length; i++) if (value[i] !== value[i - cols]) return null;
  return value.slice(0, cols);
}
