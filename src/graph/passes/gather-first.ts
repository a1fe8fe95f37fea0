import { countReaders } from '../liveness.js';
import type { GatherNode, GraphNode, LayerNormNode, LinearNode } from '../types.js';
import type { Pass } from './pass.js';

/**
 * Whole rows that are gathered from a linear layer's output alone are gathered from its input instead: that is 8-bit
 * codes, not 32-bit sums, rows that nobody wants are not computed, and the layer comes straight before the sum that it
 * can be fused with. So it is where Swin puts its windows back; SwinV2 has a norm in between.
 */
export const gatherFirst: Pass = ({ nodes, output, hints, note }) => {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const readers = countReaders(nodes, output);
  for (const gather of nodes) {
    if (gather.op !== 'gather' || gather.sources.length !== 1) continue;
    const layer = byId.get(gather.sources[0])!;
    if ((layer.op !== 'linear' && layer.op !== 'layerNorm') || readers.get(layer.id) !== 1 || !canMove(gather, layer))
      continue;
    // A norm gains nothing itself: rows only go on to the layer before it.
    if (layer.op === 'layerNorm' && byId.get(layer.x)!.op !== 'linear') continue;
    // The two swap ids, so that whoever read the gather reads the layer.
    const [own, others] = [hints.get(layer.id), hints.get(gather.id)];
    if (own !== undefined) hints.set(gather.id, own);
    if (others !== undefined) hints.set(layer.id, others);
    const cols = inputCols(layer);
    const first: GatherNode = {
      ...gather,
      id: layer.id,
      cols,
      sources: [layer.x],
      piece: (gather.piece / layer.cols) * cols,
    };
    const second: GraphNode = { ...layer, id: gather.id, rows: gather.rows, x: layer.id };
    note('rearranged rows before a layer instead of after it');
    return nodes.map((node) => (node === layer ? first : node === gather ? second : node));
  }
  return null;
};

const inputCols = (layer: LinearNode | LayerNormNode): number =>
  layer.op === 'linear' ? layer.inFeatures : layer.cols;

function canMove(gather: GatherNode, layer: LinearNode | LayerNormNode): boolean {
  const isWhole = gather.cols === layer.cols && gather.piece % layer.cols === 0 && !gather.index.includes(-1);
  return (
    isWhole &&
    (layer.op === 'linear' ? gather.rows <= layer.rows : gather.rows === layer.rows) &&
    inputCols(layer) <= layer.cols
  );
}
