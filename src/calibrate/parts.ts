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

/** Bytes of one part. */
export interface PartLimits {
  /** ONNX Runtime needs about four times as much while it loads them. */
  readonly weights: number;
  /** Values of one image: where all of them are observed, all are held until the run ends. */
  readonly values: number;
}

const LIMITS: PartLimits = { weights: 1 << 26, values: 1 << 28 };

/**
 * Cuts a graph so that no part has more than the limits, unless one node has. A model of any size then runs in
 * little memory, part by part, each over all images. Cuts are where the least is handed on, most often between blocks.
 */
export function cutGraph(graph: Graph, limits: Partial<PartLimits> = {}): GraphPart[] {
  const { nodes } = graph;
  const { weights, values } = { ...LIMITS, ...limits };
  const last = new Map<string, number>([[graph.output, nodes.length]]);
  nodes.forEach((node, i) => operandsOf(node).forEach((id) => last.set(id, Math.max(last.get(id) ?? 0, i))));
  /** Elements that nodes from `at` on read of those before. */
  const handedOn = (at: number): number =>
    nodes.reduce((sum, node, i) => sum + (i < at && (last.get(node.id) ?? -1) >= at ? node.rows * node.cols : 0), 0);
  const [weightsTo, valuesTo] = [sumsOf(nodes.map(weightBytes)), sumsOf(nodes.map(valueBytes))];
  /** How full a part of the nodes from … to − 1 is: 1 at the first limit that it reaches. */
  const fill = (from: number, to: number): number =>
    Math.max((weightsTo[to] - weightsTo[from]) / weights, (valuesTo[to] - valuesTo[from]) / values);
  const cuts = [0];
  for (let i = 0; i < nodes.length; i++) {
    const from = cuts.at(-1)!;
    if (i === from || fill(from, i + 1) <= 1) continue;
    // Back to the best cut that leaves a part at least half full before it.
    let [best, least] = [i, Infinity];
    for (let at = i; at > from && (at === i || fill(from, at) >= 0.5); at--) {
      const size = handedOn(at);
      if (size < least) [best, least] = [at, size];
    }
    cuts.push(best);
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

/** The sums of so many first numbers: none, one, … */
function sumsOf(numbers: readonly number[]): number[] {
  const sums = [0];
  for (const number of numbers) sums.push(sums.at(-1)! + number);
  return sums;
}

function weightBytes(node: GraphNode): number {
  return Object.values(node).reduce(
    (sum: number, value) => sum + (value instanceof Float32Array ? value.byteLength : 0),
    0,
  );
}

/** Windows are many times the map that they lie over; convolutions do without them. */
const valueBytes = ({ op, rows, cols }: GraphNode): number =>
  op === 'windows' || op === 'constant' ? 0 : rows * cols * Float32Array.BYTES_PER_ELEMENT;
