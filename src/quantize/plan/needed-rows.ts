import type { AttentionView, Graph, GatherNode, GraphNode } from '../../graph/types.js';

/** Rows of each node's value that reach the output; null: all. */
export function neededRows(
  graph: Graph,
  nodes: ReadonlyMap<string, GraphNode>,
  consumers: ReadonlyMap<string, readonly GraphNode[]>,
): Map<string, Int32Array | null> {
  const needed = new Map<string, Int32Array | null>();
  for (const node of [...graph.nodes].reverse()) {
    let rows: Set<number> | null = new Set();
    if (node.id === graph.output) rows = null;
    for (const user of consumers.get(node.id)!) {
      const read: readonly number[] | Int32Array | null =
        rows === null ? null : rowsRead(user, node, needed.get(user.id)!, nodes);
      if (read === null) rows = null;
      else for (const r of read) rows!.add(r);
    }
    const all = rows === null || rows.size >= node.rows;
    needed.set(node.id, all ? null : Int32Array.from(rows!).sort());
  }
  return needed;
}

/** Rows of `node` that `user` reads to make its own needed rows; null: all. */
function rowsRead(
  user: GraphNode,
  node: GraphNode,
  wanted: Int32Array | null,
  nodes: ReadonlyMap<string, GraphNode>,
): readonly number[] | Int32Array | null {
  if (user.op === 'gather') return gatherRows(user, node, wanted, nodes);
  if (wanted === null && user.op !== 'attention') return null;
  switch (user.op) {
    case 'linear':
    case 'layerNorm':
    case 'l2Norm':
    case 'activation':
    case 'affine':
    case 'add':
    case 'addConst':
      return user.rows === node.rows ? wanted : null;
    case 'attention': {
      if ([user.q, user.k, user.v].some((view) => view.source === node.id && view.stride !== node.cols)) return null;
      const isKeyOrValue = user.k.source === node.id || user.v.source === node.id;
      if (isKeyOrValue) return viewRows(user.k, user.batch * user.keys, null) ?? null;
      return viewRows(user.q, user.batch * user.queries, wanted);
    }
    default:
      return null;
  }
}

function viewRows(
  view: AttentionView,
  count: number,
  wanted: Int32Array | null,
): readonly number[] | Int32Array | null {
  if (view.rows === null) return wanted;
  if (wanted === null) return view.rows.length >= count ? view.rows : null;
  return Array.from(wanted, (i) => view.rows![i]);
}

function gatherRows(
  { sources, piece, index, cols: outCols }: GatherNode,
  node: GraphNode,
  wanted: Int32Array | null,
  nodes: ReadonlyMap<string, GraphNode>,
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
