import type { Graph, GraphNode } from './types.js';

/** A short name of the architecture from what it is built of; a guess, for reports alone. */
export function guessFamily(graph: Omit<Graph, 'family'>): string {
  const { nodes } = graph;
  const has = (test: (node: GraphNode) => boolean): boolean => nodes.some(test);
  const attentions = nodes.filter((node) => node.op === 'attention');
  if (attentions.length === 0) return 'unknown';
  const cosine = has((node) => node.op === 'l2Norm');
  if (attentions.some((node) => node.batch > 1)) return cosine ? 'swinv2' : 'swin';
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const output = byId.get(graph.output)!;
  const head = output.op === 'linear' ? byId.get(output.x)! : output;
  if (output.op === 'linear' && head.op === 'gather' && output.inFeatures === 2 * byId.get(head.sources[0])!.cols)
    return head.sources.length === 1 ? 'deit-distilled' : 'dinov2';
  if (attentions.some((node) => node.bias !== null)) return 'beit';
  if (attentions.some((node) => node.queries < node.keys)) return 'siglip';
  const beforeBlocks = nodes.slice(0, nodes.indexOf(attentions[0]));
  const twoNormsInARow = beforeBlocks.some((node) => node.op === 'layerNorm' && byId.get(node.x)!.op === 'layerNorm');
  if (twoNormsInARow || has((node) => node.op === 'activation' && node.kind === 'quickGelu')) return 'clip';
  return 'vit';
}
