import { operandsOf } from '../graph/nodes/index.js';
import type { Graph, GraphNode } from '../graph/types.js';

/**
 * A run of a graph's nodes that is executed on its own. It reads the values `inputs` of other parts; later parts read
 * its values `carried`.
 */
export interface GraphPart {
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly string[];
  readonly carried: readonly string[];
}

/** Weights in one part. ONNX Runtime needs about four times as much while it loads them. */
const PART_BYTES = 1 << 26;

/**
 * Cuts a graph so that no part has more weights than `limit`, unless one node has. A model of any size then runs in
 * little memory, part by part, each over all images. Cuts are where the least is handed on, most often between blocks.
 */
export function cutGraph(graph: Graph, limit = PART_BYTES): GraphPart[] {
  const { nodes } = graph;
  const last = new Map<string, number>([[graph.output, nodes.length]]);
  nodes.forEach((node, i) => operandsOf(node).forEach((id) => last.set(id, Math.max(last.get(id) ?? 0, i))));
  /** Elements that nodes from `at` on read of those before. */
  const handedOn = (at: number): number =>
    nodes.reduce((sum, node, i) => sum + (i < at && (last.get(node.id) ?? -1) >= at ? node.rows * node.cols : 0), 0);
  const cuts = [0];
  let bytes = 0;
  for (let i = 0; i < nodes.length; i++) {
    bytes += weightBytes(nodes[i]);
    if (bytes <= limit || i === cuts.at(-1)) continue;
    // Back to the best cut that leaves at least half the limit before it.
    let [best, least, before] = [i, Infinity, bytes - weightBytes(nodes[i])];
    for (let at = i; at > cuts.at(-1)! && (at === i || before >= limit / 2); at--) {
      const size = handedOn(at);
      if (size < least) [best, least] = [at, size];
      before -= weightBytes(nodes[at - 1]);
    }
    cuts.push(best);
    bytes = nodes.slice(best, i + 1).reduce((sum, node) => sum + weightBytes(node), 0);
  }
  return cuts.map((from, p) => {
    const part = nodes.slice(from, cuts[p + 1]);
    const own = new Set(part.map(({ id }) => id));
    const end = from + part.length;
    return {
      nodes: part,
      inputs: [...new Set(part.flatMap(operandsOf))].filter((id) => !own.has(id)),
      carried: part.map(({ id }) => id).filter((id) => end < nodes.length && (last.get(id) ?? -1) >= end),
    };
  });
}

function weightBytes(node: GraphNode): number {
  return Object.values(node).reduce(
    (sum: number, value) => sum + (value instanceof Float32Array ? value.byteLength : 0),
    0,
  );
}
