import type { AttentionView, GraphNode } from './types.js';

/** The ids of the values that a node reads, an attention's each once. */
export function operandsOf(node: GraphNode): readonly string[] {
  switch (node.op) {
    case 'patchEmbed':
    case 'constant':
      return [];
    case 'add':
      return [node.a, node.b];
    case 'attention':
      return [...new Set([node.q.source, node.k.source, node.v.source])];
    case 'gather':
      return node.sources;
    default:
      return [node.x];
  }
}

/** The node reading other values: `rename` gives the new id for each old one. */
export function withOperands(node: GraphNode, rename: (id: string) => string): GraphNode {
  switch (node.op) {
    case 'patchEmbed':
    case 'constant':
      return node;
    case 'add':
      return { ...node, a: rename(node.a), b: rename(node.b) };
    case 'attention': {
      const view = <T extends { source: string }>(v: T): T => ({ ...v, source: rename(v.source) });
      return { ...node, q: view(node.q), k: view(node.k), v: view(node.v) };
    }
    case 'gather':
      return { ...node, sources: node.sources.map(rename) };
    default:
      return { ...node, x: rename(node.x) };
  }
}

/** Where the channels of head h of a token, counted over all windows, begin in a view's source. */
export function viewStart(view: AttentionView, token: number, h: number): number {
  return (view.rows === null ? token : view.rows[token]) * view.stride + view.offset + h * view.headStride;
}

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
