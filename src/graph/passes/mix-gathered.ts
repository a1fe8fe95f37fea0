import { countReaders } from '../liveness.js';
import type { GatherNode, GraphNode, MixRowsNode, SoftmaxNode } from '../types.js';
import type { Pass } from './pass.js';

/**
 * Sums of rows take them from where they lay before whole rows were moved; also past a softmax, which treats rows
 * alike. So the maps of heads which CaiT mixes before and after its softmax stay where they are.
 */
export const mixGathered: Pass = ({ nodes, output, note }) => {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const readers = countReaders(nodes, output);
  for (const mix of nodes) {
    if (mix.op !== 'mixRows') continue;
    const x = byId.get(mix.x)!;
    const softmax = x.op === 'softmax' && readers.get(x.id) === 1 ? x : null;
    const gather = softmax === null ? x : byId.get(softmax.x)!;
    if (gather.op !== 'gather' || gather.sources.length !== 1) continue;
    const source = byId.get(gather.sources[0])!;
    const from = rowsOf(gather, source);
    // A softmax of more rows than before would cost more than it saves.
    if (from === null || gather.cols !== mix.cols || (softmax !== null && !isAlone(source, gather, softmax, readers)))
      continue;
    note('rows summed where they lie');
    const moved: MixRowsNode = {
      ...mix,
      x: softmax === null ? source.id : softmax.id,
      index: mix.index.map((row) => (row < 0 ? row : from[row])),
    };
    return nodes.map((node): GraphNode => {
      if (node === mix) return moved;
      return node === softmax ? { ...softmax, rows: source.rows, x: source.id } : node;
    });
  }
  return null;
};

/** For each row that is gathered, the row of the source; null where no whole rows are. */
function rowsOf({ piece, index, rows, cols }: GatherNode, source: GraphNode): Int32Array | null {
  if (source.cols !== cols || piece % cols !== 0 || index.includes(-1)) return null;
  const each = piece / cols;
  return Int32Array.from({ length: rows }, (_, r) => index[Math.floor(r / each)] * each + (r % each));
}

const isAlone = (
  source: GraphNode,
  gather: GatherNode,
  softmax: SoftmaxNode,
  readers: ReadonlyMap<string, number>,
): boolean => softmax.cols === gather.cols && source.rows <= gather.rows && readers.get(gather.id) === 1;
