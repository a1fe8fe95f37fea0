import { operandsOf } from '../graph/nodes.js';
import type { AttentionNode, AttentionView, Graph, GraphNode } from '../graph/types.js';

/**
 * What a consumer needs of a value:
 * - `codes`: 8-bit codes with per-channel scales, the input of a linear layer;
 * - `operand`: i8 with per-channel scales, an operand of attention;
 * - `activation`: i16 fixed point, an activation's input;
 * - `wide`: the residual stream's i32 fixed point, for everything else.
 */
export type Demand = 'codes' | 'operand' | 'activation' | 'wide';

export interface Plan {
  readonly nodes: ReadonlyMap<string, GraphNode>;
  readonly consumers: ReadonlyMap<string, readonly GraphNode[]>;
  /** The form in which each node writes its value; consumers that demand another get it by a `rescale` of the wide one. */
  readonly form: ReadonlyMap<string, Demand>;
  /** Rows of each node's value that reach the output; null: all. */
  readonly needed: ReadonlyMap<string, Int32Array | null>;
  /** Linear nodes whose result is only added to a value computed before: add node id and the other operand. */
  readonly residual: ReadonlyMap<string, { readonly add: string; readonly other: string }>;
  /** Every attention that reads a value as an operand. */
  readonly attentions: ReadonlyMap<string, readonly AttentionNode[]>;
}

/** Chooses each value's form and finds what can be fused, by one walk from the output backwards. */
export function planGraph(graph: Graph, dynamic: boolean): Plan {
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
  const consumers = new Map<string, GraphNode[]>(graph.nodes.map((node) => [node.id, []]));
  for (const node of graph.nodes) for (const id of operandsOf(node)) consumers.get(id)!.push(node);

  const form = new Map<string, Demand>();
  const attentions = new Map<string, AttentionNode[]>();
  for (const node of [...graph.nodes].reverse()) {
    const demands = new Set<Demand>(consumers.get(node.id)!.map((user) => demandOf(user, node, form)));
    if (node.id === graph.output) demands.add('wide');
    form.set(node.id, chooseForm(node, demands, dynamic, nodes, consumers));
  }
  for (const node of graph.nodes) {
    if (node.op !== 'attention') continue;
    for (const id of operandsOf(node)) attentions.set(id, [...(attentions.get(id) ?? []), node]);
  }
  return {
    nodes,
    consumers,
    form,
    attentions,
    needed: neededRows(graph, nodes, consumers),
    residual: residuals(graph, consumers),
  };
}

function demandOf(user: GraphNode, node: GraphNode, form: ReadonlyMap<string, Demand>): Demand {
  switch (user.op) {
    case 'linear':
      // A layer that re-reads the value in longer rows has no use for its per-channel scales.
      return user.inFeatures === node.cols ? 'codes' : 'wide';
    case 'attention':
      return 'operand';
    case 'activation':
      return 'activation';
    case 'gather':
      return form.get(user.id)!;
    default:
      return 'wide';
  }
}

function chooseForm(
  node: GraphNode,
  demands: ReadonlySet<Demand>,
  dynamic: boolean,
  nodes: ReadonlyMap<string, GraphNode>,
  consumers: ReadonlyMap<string, readonly GraphNode[]>,
): Demand {
  if (demands.size !== 1) return 'wide';
  const [demand] = demands;
  switch (node.op) {
    case 'linear':
      // A linear layer straight after another: its input must be codes, which come from the wide value.
      return demand === 'codes' ? 'wide' : demand;
    case 'layerNorm':
    case 'l2Norm':
      return demand === 'activation' ? 'wide' : demand;
    case 'activation':
    case 'attention':
      return demand === 'codes' ? 'codes' : 'wide';
    case 'constant':
      return demand === 'operand' ? 'operand' : 'wide';
    case 'gather': {
      // Per-channel scales survive a gather only if whole rows move, of one source or of some that are made for it alone to
      // scales of its own; row scales don't.
      const isOwn = (id: string): boolean =>
        demand === 'operand' && consumers.get(id)!.length === 1 && !node.index.includes(-1);
      const alike = node.sources.length === 1 || node.sources.every(isOwn);
      const wholeRows =
        alike && node.sources.every((id) => nodes.get(id)!.cols === node.cols) && node.piece % node.cols === 0;
      return wholeRows && !(dynamic && demand === 'codes') ? demand : 'wide';
    }
    default:
      return 'wide';
  }
}

/** A linear layer that feeds one add, whose other operand is there before it. */
function residuals(graph: Graph, consumers: ReadonlyMap<string, readonly GraphNode[]>): Plan['residual'] {
  const order = new Map(graph.nodes.map((node, i) => [node.id, i]));
  const found = new Map<string, { add: string; other: string }>();
  for (const node of graph.nodes) {
    if (node.op !== 'add' || node.a === node.b) continue;
    const candidates = [
      [node.a, node.b],
      [node.b, node.a],
    ] as const;
    for (const [linear, other] of candidates) {
      const position = order.get(linear)!;
      const source = graph.nodes[position];
      const fits =
        source.op === 'linear' && source.rows === node.rows && source.cols === node.cols && linear !== graph.output;
      if (fits && consumers.get(linear)!.length === 1 && order.get(other)! < position) {
        found.set(linear, { add: node.id, other });
        break;
      }
    }
  }
  return found;
}

function neededRows(
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
  if (user.op === 'gather') return gatherRows(user.sources, user.piece, user.index, user.cols, node, wanted, nodes);
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
  sources: readonly string[],
  piece: number,
  index: Int32Array,
  outCols: number,
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

/** Rows of a node that reach the output. */
export function rowsNeeded(plan: Plan, node: GraphNode): number {
  return plan.needed.get(node.id)?.length ?? node.rows;
}
