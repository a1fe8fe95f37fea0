import { readsX, type NodeBase, type NodeDefinition } from './definition.js';

/**
 * Rotary position: y[r, n] = x[r, column + n]·cos[r, n] + x[r, column + partner[n]]·sin[r, n]. Tables [tableRows,
 * period] repeat along rows and columns. A channel that is not turned has cos 1 and sin 0.
 */
export interface RotaryNode extends NodeBase {
  readonly op: 'rotary';
  readonly x: string;
  /** Row length of x, and the first of the `cols` columns that are read of it. */
  readonly xCols: number;
  readonly column: number;
  /** [cols]: which of these columns each channel is mixed with. */
  readonly partner: Int32Array;
  /** [tableRows, period]; nodes with equal tables share the arrays. */
  readonly cos: Float32Array;
  /** [tableRows, period], with its sign. */
  readonly sin: Float32Array;
  /** Divides `rows`. */
  readonly tableRows: number;
  /** Divides `cols`. */
  readonly period: number;
}

export const rotary: NodeDefinition<RotaryNode> = {
  ...readsX,
  evaluate({ rows, cols, x, xCols, column, partner, cos, sin, tableRows, period }, read) {
    const input = read(x);
    return Float32Array.from({ length: rows * cols }, (_, i) => {
      const [row, n] = [Math.floor(i / cols), i % cols];
      const at = (row % tableRows) * period + (n % period);
      const from = row * xCols + column;
      return input[from + n] * cos[at] + input[from + partner[n]] * sin[at];
    });
  },
  toOnnx({ id, rows, cols, x, xCols, column, partner, cos, sin, tableRows, period }, writer) {
    const own = writer.slice(writer.as(x, rows, xCols), 1, column, column + cols, `${id}//own`);
    const turned = writer.op('Gather', [own, writer.integers(partner)], `${id}//turned`, { axis: 1 });
    const split = [rows / tableRows, tableRows, cols / period, period];
    const product = (value: string, name: string, table: Float32Array): string => {
      const factors = writer.floats(id, name, [1, tableRows, 1, period], table);
      return writer.op('Mul', [writer.reshape(value, split), factors], `${id}//${name}.product`);
    };
    const sum = writer.op('Add', [product(own, 'cos', cos), product(turned, 'sin', sin)], `${id}//sum`);
    writer.reshape(sum, [rows, cols], id);
  },
  describe: ({ period, cols }) => ({ detail: `${cols / period} × ${period}` }),
  rowsRead: ({ xCols }, operand, wanted) => (operand.cols === xCols ? wanted : null),
};
