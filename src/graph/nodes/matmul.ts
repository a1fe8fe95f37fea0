import type { NodeBase, NodeDefinition } from './definition.js';
import { viewRows, viewStart, writeView, type AttentionView } from './view.js';

/** `transposed`: what is summed over are `dim` rows of the source, and row j of the operand is its column j. */
export interface MatrixView extends AttentionView {
  readonly transposed?: true;
}

/**
 * Products of two activations: y[w·m + i, h·n + j] = Σ a[w, h, i, c]·b[w, h, j, c] over c < `dim`, for each of `batch`
 * windows w and `heads` heads h. a has the summed channels side by side, and so has b unless it is transposed.
 */
export interface MatmulNode extends NodeBase {
  readonly op: 'matmul';
  readonly a: AttentionView;
  readonly b: MatrixView;
  readonly batch: number;
  readonly heads: number;
  /** Rows of a, and of b, for each window and head. */
  readonly m: number;
  readonly n: number;
  /** What is summed over. */
  readonly dim: number;
}

export const matmul: NodeDefinition<MatmulNode> = {
  operands: ({ a, b }) => [...new Set([a.source, b.source])],
  withOperands(node, rename) {
    const { a, b } = node;
    return { ...node, a: { ...a, source: rename(a.source) }, b: { ...b, source: rename(b.source) } };
  },
  evaluate({ rows, cols, a, b, batch, heads, m, n, dim }, read) {
    const [x, y] = [read(a.source), read(b.source)];
    const out = new Float32Array(rows * cols);
    for (let w = 0; w < batch; w++)
      for (let h = 0; h < heads; h++)
        for (let i = 0; i < m; i++)
          for (let j = 0; j < n; j++) {
            const from = viewStart(a, w * m + i, h);
            const at = (c: number): number =>
              b.transposed ? viewStart(b, w * dim + c, h) + j : viewStart(b, w * n + j, h) + c;
            let sum = 0;
            for (let c = 0; c < dim; c++) sum += x[from + c] * y[at(c)];
            out[(w * m + i) * cols + h * n + j] = sum;
          }
    return out;
  },
  toOnnx({ id, rows, cols, a, b, batch, heads, m, n, dim }, writer) {
    const left = writeView(writer, a, [batch, m, heads, dim], `${id}//a`);
    const right = writeView(writer, b, b.transposed ? [batch, dim, heads, n] : [batch, n, heads, dim], `${id}//b`);
    const operands = [
      writer.op('Transpose', [left], `${id}//a.heads`, { perm: [0, 2, 1, 3] }),
      writer.op('Transpose', [right], `${id}//b.heads`, {
        perm: b.transposed ? [0, 2, 1, 3] : [0, 2, 3, 1],
      }),
    ];
    const product = writer.op('MatMul', operands, `${id}//product`);
    writer.reshape(writer.op('Transpose', [product], `${id}//merged`, { perm: [0, 2, 1, 3] }), [rows, cols], id);
  },
  describe: ({ batch, heads, m, n, dim }) => ({
    detail: `${heads} × ${m}×${dim}·${dim}×${n}${batch > 1 ? `, ${batch} windows` : ''}`,
    macs: batch * heads * m * n * dim,
  }),
  rowsRead({ a, b, batch, m }, { id, cols }, wanted) {
    if (b.source === id || a.stride !== cols) return null;
    return viewRows(a, batch * m, wanted);
  },
};
