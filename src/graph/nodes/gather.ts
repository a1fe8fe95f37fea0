import type { NodeBase, NodeDefinition } from './definition.js';

/**
 * Exact layout op. The sources' buffers are laid end to end and cut into pieces of `piece` elements (every source's
 * size is a multiple of it); piece i of the result is piece `index[i]` of that, or zeros where it is −1.
 */
export interface GatherNode extends NodeBase {
  readonly op: 'gather';
  readonly sources: readonly string[];
  readonly piece: number;
  readonly index: Int32Array;
}

export const gather: NodeDefinition<GatherNode> = {
  operands: (node) => node.sources,
  withOperands: (node, rename) => ({ ...node, sources: node.sources.map(rename) }),
  evaluate({ rows, cols, sources, piece, index }, read) {
    const values = sources.map(read);
    const all = new Float32Array(values.reduce((sum, value) => sum + value.length, 0));
    let at = 0;
    for (const value of values) {
      all.set(value, at);
      at += value.length;
    }
    const out = new Float32Array(rows * cols);
    index.forEach((from, i) => {
      if (from >= 0) out.set(all.subarray(from * piece, (from + 1) * piece), i * piece);
    });
    return out;
  },
  toOnnx(node, writer) {
    const { piece } = node;
    const pieces = node.sources.map((id) => writer.reshape(id, [-1, piece]));
    const padded = node.index.includes(-1);
    if (padded) pieces.push(writer.floats(node.id, 'zeros', [1, piece], new Float32Array(piece)));
    const all = pieces.length > 1 ? writer.op('Concat', pieces, `${node.id}//all`, { axis: 0 }) : pieces[0];
    const count = node.sources.reduce((sum, id) => sum + writer.sizeOf(id) / piece, 0);
    const index = node.index.map((from) => (from < 0 ? count : from));
    const consecutive = index.every((from, i) => from === index[0] + i);
    const picked = consecutive
      ? writer.slice(all, 0, index[0], index[0] + index.length, `${node.id}//picked`)
      : writer.op('Gather', [all, writer.integers(index)], `${node.id}//picked`, { axis: 0 });
    writer.reshape(picked, [node.rows, node.cols], node.id);
  },
  describe: ({ piece, sources }) => ({ detail: `pieces of ${piece} from ${sources.length}` }),
  rowsRead: gatherRows,
};

/** Rows of a source behind so many rows of the result. */
function gatherRows(
  { sources, piece, index, cols: outCols }: GatherNode,
  node: NodeBase,
  wanted: Int32Array | null,
  nodes: ReadonlyMap<string, NodeBase>,
): readonly number[] {
  const rows = new Set<number>();
  const wantedRows = wanted === null ? null : new Set(wanted);
  let start = 0;
  for (const id of sources) {
    const size = nodes.get(id)!.rows * nodes.get(id)!.cols;
    if (id === node.id) {
      index.forEach((from, i) => {
        const position = from * piece - start;
        if (from < 0 || position < 0 || position >= size) return;
        if (wantedRows !== null && !touches(wantedRows, i * piece, piece, outCols)) return;
        for (let at = position; at < position + piece; at += node.cols - (at % node.cols))
          rows.add(Math.floor(at / node.cols));
      });
    }
    start += size;
  }
  return [...rows];
}

function touches(rows: ReadonlySet<number>, start: number, length: number, cols: number): boolean {
  for (let r = Math.floor(start / cols); r * cols < start + length; r++) if (rows.has(r)) return true;
  return false;
}
