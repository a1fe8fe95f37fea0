import type { Graph, GraphNode } from './types.js';

/** Nodes over the neighbourhood of a pixel: none is in a plain transformer. */
const ON_MAPS: ReadonlySet<GraphNode['op']> = new Set(['windows', 'depthwise', 'maxPool', 'mixRows', 'groupNorm']);

type Attention = Extract<GraphNode, { op: 'attention' }>;

/**
 * A short name of the architecture from what it is built of; a guess, for reports alone. A wrong name is worse than
 * none: what is no sure sign of a family gives 'hybrid', for convolutions beside attention, or 'unknown'.
 */
export function guessFamily(graph: Omit<Graph, 'family'>): string {
  const { nodes } = graph;
  const has = (...ops: readonly GraphNode['op'][]): boolean => nodes.some(({ op }) => ops.includes(op));
  const attentions = nodes.filter((node) => node.op === 'attention');
  const onMaps = nodes.some(({ op }) => ON_MAPS.has(op));
  if (has('softmax') && mixesHeads(nodes, attentions)) return 'cait';
  if (has('softmax')) return onMaps ? 'hybrid' : 'unknown';
  if (attentions.length === 0) return 'unknown';
  if (attentions.some((node) => node.batch > 1)) return windowed(attentions, has('l2Norm'), onMaps);
  if (onMaps) return 'hybrid';
  if (has('matmul') || new Set(attentions.map((node) => node.keys)).size > 1) return 'unknown';
  return plain(graph, attentions);
}

/** Heads mixed before and after the softmax, then a class token that attends to the patches; nothing over maps else. */
function mixesHeads(nodes: readonly GraphNode[], attentions: readonly Attention[]): boolean {
  const last = attentions.at(-1);
  const scores = nodes.filter((node) => node.op === 'softmax');
  return (
    !nodes.some(({ op }) => op !== 'mixRows' && ON_MAPS.has(op)) &&
    attentions.every(({ queries }) => queries === 1) &&
    scores.every(({ cols }) => cols + 1 === last?.keys)
  );
}

/** Swin's windows have a bias for each relative position; others go without, or have convolutions too. */
function windowed(attentions: readonly Attention[], isCosine: boolean, onMaps: boolean): string {
  if (attentions.every((node) => node.bias !== null && node.queries === node.keys))
    return isCosine ? 'swinv2' : onMaps ? 'hybrid' : 'swin';
  return onMaps ? 'hybrid' : 'unknown';
}

/** Of one stack of blocks over all tokens. */
function plain(graph: Omit<Graph, 'family'>, attentions: readonly Attention[]): string {
  const { nodes } = graph;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const pooling = attentions.filter((node) => node.queries < node.keys);
  if (pooling.length > 1 || (pooling.length === 1 && pooling[0] !== attentions.at(-1))) return 'unknown';
  const output = byId.get(graph.output)!;
  const head = output.op === 'linear' ? byId.get(output.x)! : output;
  if (output.op === 'linear' && head.op === 'gather' && output.inFeatures === 2 * byId.get(head.sources[0])!.cols)
    return head.sources.length === 1 ? 'deit-distilled' : 'dinov2';
  const isBiased = attentions.every(({ bias, biasHeads }) => bias !== null && biasHeads > 1);
  if (isBiased && Number.isInteger(Math.sqrt(attentions[0].keys - 1))) return 'beit';
  // Later networks turn their positions, gate their layers, norm by the root mean square, or norm queries and keys.
  const [{ heads, dim }] = attentions;
  const isLaterNorm = (node: GraphNode): boolean =>
    node.op === 'layerNorm' && (!node.center || node.cols !== heads * dim);
  const isOfToday = nodes.some((node) => node.op === 'rotary' || node.op === 'multiply' || isLaterNorm(node));
  if (isOfToday) return 'vit';
  if (pooling.length === 1) return 'siglip';
  const beforeBlocks = nodes.slice(0, nodes.indexOf(attentions[0]));
  const twoNormsInARow = beforeBlocks.some((node) => node.op === 'layerNorm' && byId.get(node.x)!.op === 'layerNorm');
  const isQuick = nodes.some((node) => node.op === 'activation' && node.kind === 'quickGelu');
  return twoNormsInARow || isQuick ? 'clip' : 'vit';
}
