/** Which values, and which of their rows, reach the output. */
import { definitionOf, operandsOf } from './nodes/index.js';
import type { Graph, GraphNode } from './types.js';

/** By id, how many nodes read a value; the output counts as one more. */
export function countReaders(nodes: readonly GraphNode[], output: string): Map<string, number> {
  const readers = new Map<string, number>([[output, 1]]);
  for (const node of nodes) for (const id of new Set(operandsOf(node))) readers.set(id, (readers.get(id) ?? 0) + 1);
  return readers;
}

/** Nodes that the output needs, in their order. */
export function liveNodes(nodes: readonly GraphNode[], output: string): GraphNode[] {
  const live = new Set([output]);
  for (let i = nodes.length - 1; i >= 0; i--)
    if (live.has(nodes[i].id)) for (const id of operandsOf(nodes[i])) live.add(id);
  return nodes.filter((node) => live.has(node.id));
}

/** By id, the nodes that read a value. */
export function consumersOf(nodes: readonly GraphNode[]): Map<string, GraphNode[]> {
  const consumers = new Map<string, GraphNode[]>(nodes.map((node) => [node.id, []]));
  for (const node of nodes) for (const id of operandsOf(node)) consumers.get(id)!.push(node);
  return consumers;
}

/** Rows of each node's value that reach the output; null: all. */
export function neededRows(graph: Graph): Map<string, Int32Array | null> {
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
  const consumers = consumersOf(graph.nodes);
  const needed = new Map<string, Int32Array | null>();
  for (const node of [...graph.nodes].reverse()) {
    let rows: Set<number> | null = node.id === graph.output ? null : new Set();
    for (const user of consumers.get(node.id)!) {
      if (rows === null) break;
      const read = rowsRead(user, node, needed.get(user.id)!, nodes);
      if (read === null) rows = null;
      else for (let i = 0; i < read.length; i++) rows.add(read[i]);
    }
    needed.set(node.id, rows === null || rows.size >= node.rows ? null : Int32Array.from(rows).sort());
  }
  return needed;
}

/** Rows of an operand that a node reads to make `wanted` rows of its own; null: all. */
function rowsRead(
  user: GraphNode,
  operand: GraphNode,
  wanted: Int32Array | null,
  nodes: ReadonlyMap<string, GraphNode>,
): ArrayLike<number> | null {
  const own = definitionOf(user).rowsRead;
  if (own !== undefined) return own(user, operand, wanted, nodes);
  return wanted !== null && user.rows === operand.rows ? wanted : null;
}
