import { coarsen, compose } from '../layout.js';
import { operandsOf } from '../nodes/index.js';
import type { GatherNode } from '../types.js';
import type { Pass } from './pass.js';

/** A gather that gathers read alone becomes part of them: one copy less. */
export const mergeGathers: Pass = ({ nodes, output }) => {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const sizeOf = (id: string): number => byId.get(id)!.rows * byId.get(id)!.cols;
  for (const inner of nodes) {
    if (inner.op !== 'gather' || inner.id === output) continue;
    const reading = nodes.filter((node) => operandsOf(node).includes(inner.id));
    if (reading.length === 0 || !reading.every((node) => node.op === 'gather')) continue;
    return nodes
      .filter((node) => node !== inner)
      .map((node) => (node.op === 'gather' && node.sources.includes(inner.id) ? inlined(node, inner, sizeOf) : node));
  }
  return null;
};

function inlined(outer: GatherNode, inner: GatherNode, sizeOf: (id: string) => number): GatherNode {
  const sources = [...new Set(outer.sources.flatMap((id) => (id === inner.id ? inner.sources : [id])))];
  const starts = new Map<string, number>();
  let end = 0;
  for (const id of sources) {
    starts.set(id, end);
    end += sizeOf(id);
  }
  const parts = outer.sources.map((id) => {
    const ids = id === inner.id ? inner.sources : [id];
    const layout = id === inner.id ? inner : { piece: sizeOf(id), index: new Int32Array(1) };
    return { layout, sizes: ids.map(sizeOf), starts: ids.map((source) => starts.get(source)!) };
  });
  const { piece, index } = coarsen(compose(outer, parts), sources.map(sizeOf));
  return { ...outer, sources, piece, index };
}
