import type { GatherNode, GraphNode, MatmulNode } from '../types.js';
import { viewStart, type AttentionView } from '../nodes/view.js';
import type { Pass } from './pass.js';

/**
 * A product reads the transpose of a product where that lies, as linear attention does: q·(kᵀv) sums over the rows of
 * kᵀv. No copy is made, and the columns of kᵀv may have scales of their own.
 */
export const readTransposed: Pass = ({ nodes, note }) => {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  for (const node of nodes) {
    if (node.op !== 'matmul' || node.b.transposed) continue;
    const gather = byId.get(node.b.source)!;
    if (gather.op !== 'gather' || gather.sources.length !== 1) continue;
    const source = byId.get(gather.sources[0])!;
    if (source.op !== 'matmul') continue;
    const view = transposedView(node, gather, source);
    if (view === null) continue;
    note('transpose read where it lies');
    return nodes.map((other) => (other === node ? { ...node, b: { ...view, transposed: true } } : other));
  }
  return null;
};

/** Where the gathered rows of b are columns of its source; null where they are not. */
function transposedView(
  { b, batch, heads, n, dim }: MatmulNode,
  { piece, index }: GatherNode,
  { id, rows, cols }: GraphNode,
): AttentionView | null {
  if (rows !== batch * dim) return null;
  const place = (w: number, h: number, j: number, c: number): number => {
    const at = viewStart(b, w * n + j, h) + c;
    const from = index[Math.floor(at / piece)];
    return from < 0 ? -1 : from * piece + (at % piece);
  };
  const offset = place(0, 0, 0, 0);
  const headStride = heads > 1 ? place(0, 1, 0, 0) - offset : n;
  if (offset < 0 || headStride < n || offset + (heads - 1) * headStride + n > cols) return null;
  const view = { source: id, stride: cols, rows: null, offset, headStride };
  for (let w = 0; w < batch; w++)
    for (let h = 0; h < heads; h++)
      for (let j = 0; j < n; j++)
        for (let c = 0; c < dim; c++) if (place(w, h, j, c) !== viewStart(view, w * dim + c, h) + j) return null;
  return view;
}
