import { countReaders } from '../liveness.js';
import { operandsOf } from '../nodes/index.js';
import type { AffineNode, AttentionView, GatherNode, GraphNode } from '../types.js';
import { straightView } from './read-in-place.js';
import type { Pass } from './pass.js';

/**
 * One factor for all of what is cut from a layer goes into the weights of the channels it is cut from, as the 1/√d of
 * queries does that lie beside keys and values. Other readers read other channels. Only where products
 * can read the layer in place then: elsewhere nothing is gained.
 */
export const scaleColumns: Pass = ({ nodes, output, note }) => {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const readers = countReaders(nodes, output);
  for (const affine of nodes) {
    if (affine.op !== 'affine' || !isOneFactor(affine)) continue;
    const gather = byId.get(affine.x)!;
    if (gather.op !== 'gather' || gather.sources.length !== 1) continue;
    const layer = byId.get(gather.sources[0])!;
    if ((layer.op !== 'linear' && layer.op !== 'patchEmbed') || layer.id === output) continue;
    const own = columnsRead(gather, layer);
    if (own === null) continue;
    const isApart = (reader: GraphNode): boolean => {
      const columns = columnsRead(reader, layer);
      return columns !== null && columns.every((isRead, c) => !isRead || !own[c]);
    };
    const others = nodes.filter((node) => node !== gather && operandsOf(node).includes(layer.id));
    if (readers.get(gather.id) !== 1 || !others.every(isApart)) continue;
    const reading = nodes.filter((node) => operandsOf(node).includes(affine.id));
    if (affine.id === output || !reading.every((node) => readsInPlace(node, affine.id, gather, layer))) continue;
    const factor = affine.scale[0];
    const size = layer.weight.length / layer.cols;
    const scaled: GraphNode = {
      ...layer,
      weight: layer.weight.map((w, i) => (own[Math.floor(i / size)] ? w * factor : w)),
      bias: layer.bias.map((b, c) => (own[c] ? b * factor : b)),
    };
    note('scale of channels into the weights before them');
    return nodes
      .filter((node) => node !== gather)
      .map((node) => {
        if (node === layer) return scaled;
        return node === affine ? { ...gather, id: affine.id, name: affine.name, ...shapeOf(affine) } : node;
      });
  }
  return null;
};

const shapeOf = ({ rows, cols }: GraphNode): { rows: number; cols: number } => ({ rows, cols });

const isOneFactor = ({ scale, shift }: AffineNode): boolean =>
  shift.every((t) => t === 0) && scale.every((s) => s === scale[0]);

/** Whether a product could read its operand in the layer, were it not for the factor. */
const readsInPlace = (node: GraphNode, id: string, gather: GatherNode, layer: GraphNode): boolean =>
  node.op === 'matmul' &&
  (['a', 'b'] as const).every((side) => node[side].source !== id || straightView(node, side, gather, layer) !== null);

/** Which columns of a value a node reads; null where that is not known. */
function columnsRead(reader: GraphNode, { id, rows, cols }: GraphNode): boolean[] | null {
  const isRead = new Array<boolean>(cols).fill(false);
  if (reader.op === 'gather') return gatheredColumns(reader, rows * cols, cols);
  if (reader.op !== 'matmul') return null;
  const { a, b, heads, dim, n } = reader;
  const read = (view: AttentionView, width: number): boolean => {
    if (view.source !== id) return true;
    if (view.stride !== cols || view.offset + (heads - 1) * view.headStride + width > cols) return false;
    for (let h = 0; h < heads; h++)
      isRead.fill(true, view.offset + h * view.headStride, view.offset + h * view.headStride + width);
    return true;
  };
  return read(a, dim) && read(b, b.transposed ? n : dim) ? isRead : null;
}

/** The columns that a gather of one source reads; a gather of several is not looked at. */
function gatheredColumns({ sources, piece, index }: GatherNode, size: number, cols: number): boolean[] | null {
  if (sources.length !== 1) return null;
  const isRead = new Array<boolean>(cols).fill(false);
  for (const from of index)
    for (let c = 0; from >= 0 && c < Math.min(piece, size); c++) isRead[(from * piece + c) % cols] = true;
  return isRead;
}
