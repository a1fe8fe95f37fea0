import type { MatrixView } from '../nodes/matmul.js';
import type { GatherNode, GraphNode, MatmulNode } from '../types.js';
import { operandsOf } from '../nodes/index.js';
import { viewStart, type AttentionView } from '../nodes/view.js';
import type { Pass } from './pass.js';

/**
 * A product reads its operands where they lay before they were moved: heads cut from a layer's channels, and the
 * transpose of a product or a layer, as linear attention does: q·(kᵀv) sums over the rows of kᵀv. No copy is made, and
 * the columns of kᵀv may have scales of their own.
 */
export const readInPlace: Pass = ({ nodes, note }) => {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  for (const node of nodes) {
    if (node.op !== 'matmul') continue;
    for (const side of ['a', 'b'] as const) {
      const view: MatrixView = node[side];
      const gather = byId.get(view.source)!;
      if (view.transposed || gather.op !== 'gather' || gather.sources.length !== 1) continue;
      const source = byId.get(gather.sources[0])!;
      const straight = straightView(node, side, gather, source);
      if (straight !== null) {
        note('operand read where it lies');
        return nodes.map((other) => (other === node ? { ...node, [side]: straight } : other));
      }
      if (side === 'a' || !isForProducts(source, gather, nodes)) continue;
      const transposed = transposedView(node, gather, source);
      if (transposed === null) continue;
      note('transpose read where it lies');
      return nodes.map((other) => (other === node ? { ...node, b: { ...transposed, transposed: true } } : other));
    }
  }
  return null;
};

/** A product, or a layer that products alone read: it has a scale for each of them, as a copy would have. */
const isForProducts = (source: GraphNode, gather: GatherNode, nodes: readonly GraphNode[]): boolean =>
  source.op === 'matmul' ||
  (source.op === 'linear' &&
    nodes.every((node) => node.op === 'matmul' || node === gather || !operandsOf(node).includes(source.id)));

/** By element of a gather, the element of its source; −1: zero. */
const elementsOf =
  ({ piece, index }: GatherNode) =>
  (at: number): number => {
    const from = index[Math.floor(at / piece)];
    return from < 0 ? -1 : from * piece + (at % piece);
  };

/** Where each head's part of a gathered row is part of a row of the source; null where it is not. */
export function straightView(
  { a, b, batch, heads, m, n, dim }: MatmulNode,
  side: 'a' | 'b',
  gather: GatherNode,
  { id, cols }: GraphNode,
): AttentionView | null {
  const [view, tokens] = side === 'a' ? [a, batch * m] : [b, batch * n];
  const from = elementsOf(gather);
  const place = (t: number, h: number, c: number): number => from(viewStart(view, t, h) + c);
  const rows = Int32Array.from({ length: tokens }, (_, t) => Math.floor(place(t, 0, 0) / cols));
  const offset = place(0, 0, 0) - rows[0] * cols;
  const headStride = heads > 1 ? place(0, 1, 0) - place(0, 0, 0) : dim;
  if (rows.some((row) => row < 0) || headStride < dim || offset + (heads - 1) * headStride + dim > cols) return null;
  const found = { source: id, stride: cols, rows, offset, headStride };
  for (let t = 0; t < tokens; t++)
    for (let h = 0; h < heads; h++)
      for (let c = 0; c < dim; c++) if (place(t, h, c) !== viewStart(found, t, h) + c) return null;
  return rows.every((row, t) => row === t) ? { ...found, rows: null } : found;
}

/** Where the gathered rows of b are columns of its source; null where they are not. */
function transposedView(
  { b, batch, heads, n, dim }: MatmulNode,
  gather: GatherNode,
  { id, rows, cols }: GraphNode,
): AttentionView | null {
  const from = elementsOf(gather);
  if (rows !== batch * dim) return null;
  const place = (w: number, h: number, j: number, c: number): number => from(viewStart(b, w * n + j, h) + c);
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
