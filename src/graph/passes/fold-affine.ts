import { mergeHints } from '../name-hints.js';
import { countReaders } from '../liveness.js';
import { operandsOf } from '../nodes/index.js';
import { reachesOutside, tapCount } from '../geometry.js';
import type {
  AffineNode,
  DepthwiseNode,
  GatherNode,
  GraphNode,
  LinearNode,
  MixRowsNode,
  WindowsNode,
} from '../types.js';
import type { Draft, Pass } from './pass.js';

/**
 * Folds factors and summands per channel into the linear layers and norms beside them: biases, γ and β, LayerScale,
 * BatchNorm, the halving of a mean of two heads. Values keep the id of the tensor they equal.
 */
export const foldAffine: Pass = (draft) => intoProducers(draft) ?? beyond(draft);

/** Every affine step that alone reads a node which can take it in. */
function intoProducers({ nodes, output, hints, note }: Draft): readonly GraphNode[] | null {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const readers = countReaders(nodes, output);
  const gone = new Set<string>();
  const replaced = new Map<string, GraphNode>();
  for (const node of nodes) {
    if (node.op !== 'affine' || gone.has(node.id)) continue;
    const x = byId.get(node.x)!;
    if (readers.get(x.id) !== 1 || gone.has(x.id) || replaced.has(x.id)) continue;
    const merged = intoProducer(node, x, note);
    if (!merged) continue;
    gone.add(x.id);
    replaced.set(node.id, merged);
    hints.set(node.id, mergeHints(hints.get(x.id)!, hints.get(node.id)!));
  }
  if (gone.size === 0) return null;
  return nodes.filter((node) => !gone.has(node.id)).map((node) => replaced.get(node.id) ?? node);
}

const isOnes = (values: Float32Array): boolean => values.every((value) => value === 1);

/** The node that computes x and the affine step after it, under the affine's id; null where they cannot be one. */
function intoProducer(node: AffineNode, x: GraphNode, note: (what: string) => void): GraphNode | null {
  const { scale, shift, cols } = node;
  if (x.cols !== cols) return null;
  const named = { id: node.id, name: node.name };
  switch (x.op) {
    case 'linear':
    case 'patchEmbed': {
      const k = x.weight.length / cols;
      const shiftsOnly = isOnes(scale);
      if (!shiftsOnly) note('scale per channel into the weights before it');
      const weight = shiftsOnly ? x.weight : x.weight.map((w, i) => w * scale[Math.floor(i / k)]);
      return { ...x, ...named, weight, bias: x.bias.map((b, n) => b * scale[n] + shift[n]) };
    }
    case 'depthwise': {
      if (!isOnes(scale)) note('scale per channel into the weights before it');
      const weight = x.weight.map((w, i) => w * scale[i % cols]);
      return { ...x, ...named, weight, bias: x.bias.map((b, c) => b * scale[c] + shift[c]) };
    }
    case 'groupNorm':
    case 'layerNorm':
      return {
        ...x,
        ...named,
        gamma: x.gamma.map((g, c) => g * scale[c]),
        beta: x.beta.map((b, c) => b * scale[c] + shift[c]),
      };
    case 'affine':
      return {
        ...x,
        ...named,
        scale: x.scale.map((s, c) => s * scale[c]),
        shift: x.shift.map((b, c) => b * scale[c] + shift[c]),
      };
    case 'addConst':
      return isOnes(scale) ? { ...x, ...named, value: x.value.map((v, i) => v + shift[i % cols]) } : null;
    case 'constant':
      return { ...x, ...named, value: x.value.map((v, i) => v * scale[i % cols] + shift[i % cols]) };
    default:
      return null;
  }
}

/** The first affine step that can move past what reads it, or past the sum it reads. */
function beyond(draft: Draft): readonly GraphNode[] | null {
  for (const node of draft.nodes) {
    if (node.op !== 'affine') continue;
    const moved =
      intoReaders(node, draft) ?? pastReader(node, draft) ?? intoSummands(node, draft) ?? intoConcatenated(node, draft);
    if (moved) return moved;
  }
  return null;
}

/**
 * W·(s∘x + t) + b = (W∘s)·x + (W·t + b), where layers alone read it: linear ones, of windows too, and depthwise ones.
 * Windows that reach outside of the map have no t there.
 */
function intoReaders(node: AffineNode, draft: Draft): readonly GraphNode[] | null {
  const { nodes, output, note } = draft;
  const isPlain = node.shift.every((shift) => shift === 0);
  const fitsMap = ({ geometry }: WindowsNode | DepthwiseNode): boolean => isPlain || !reachesOutside(geometry);
  const readersOf = (id: string): GraphNode[] => nodes.filter((other) => operandsOf(other).includes(id));
  const isLayer = (other: GraphNode): boolean => other.op === 'linear' && other.inFeatures % node.cols === 0;
  const fits = (other: GraphNode): boolean =>
    isLayer(other) ||
    (other.op === 'depthwise' && other.cols === node.cols && fitsMap(other)) ||
    (other.op === 'windows' &&
      other.cols === node.cols * tapCount(other.geometry) &&
      other.id !== output &&
      fitsMap(other) &&
      readersOf(other.id).every((reader) => reader.op === 'linear' && reader.inFeatures === other.cols));
  const reading = readersOf(node.id);
  if (node.id === output || reading.length === 0 || !reading.every(fits)) return null;
  note('scale per channel into the weights after it');
  const windows = reading.filter((other) => other.op === 'windows').map((other) => other.id);
  return nodes
    .filter((other) => other !== node)
    .map((other) => {
      if (other.op === 'windows' && windows.includes(other.id)) return { ...other, x: node.x };
      if (other.op === 'depthwise' && other.x === node.id) return { ...scaledTaps(other, node), x: node.x };
      if (other.op !== 'linear') return other;
      if (windows.includes(other.x)) return scaledInputs(other, node);
      return other.x === node.id ? { ...scaledInputs(other, node), x: node.x } : other;
    });
}

function scaledInputs(layer: LinearNode, { scale, shift, cols }: AffineNode): LinearNode {
  const bias = Float64Array.from(layer.bias);
  const weight = layer.weight.map((w, i) => {
    const c = (i % layer.inFeatures) % cols;
    bias[Math.floor(i / layer.inFeatures)] += w * shift[c];
    return w * scale[c];
  });
  return { ...layer, weight, bias: Float32Array.from(bias) };
}

function scaledTaps(layer: DepthwiseNode, { scale, shift, cols }: AffineNode): DepthwiseNode {
  const bias = Float64Array.from(layer.bias);
  const weight = layer.weight.map((w, i) => {
    bias[i % cols] += w * shift[i % cols];
    return w * scale[i % cols];
  });
  return { ...layer, weight, bias: Float32Array.from(bias) };
}

/** A gather of whole rows, or a mean over rows or windows, may come first. */
function pastReader(node: AffineNode, { nodes, output, hints }: Draft): readonly GraphNode[] | null {
  const reading = nodes.filter((other) => operandsOf(other).includes(node.id));
  const [reader] = reading;
  if (node.id === output || reading.length !== 1 || reader.cols % node.cols !== 0) return null;
  const commutes =
    reader.op === 'meanRows' ||
    (reader.op === 'mixRows' && reader.cols === node.cols && isMean(reader)) ||
    (reader.op === 'gather' &&
      reader.sources.length === 1 &&
      reader.piece % node.cols === 0 &&
      !reader.index.includes(-1));
  if (!commutes) return null;
  const first =
    reader.op === 'gather' ? { ...reader, id: node.id, sources: [node.x] } : { ...reader, id: node.id, x: node.x };
  const repeat = (values: Float32Array): Float32Array =>
    Float32Array.from({ length: reader.cols }, (_, c) => values[c % node.cols]);
  const second: AffineNode = {
    ...node,
    id: reader.id,
    rows: reader.rows,
    cols: reader.cols,
    x: node.id,
    scale: repeat(node.scale),
    shift: repeat(node.shift),
  };
  const [own, readers] = [hints.get(node.id)!, hints.get(reader.id)!];
  hints.set(node.id, readers);
  hints.set(reader.id, own);
  return nodes.filter((other) => other !== node).flatMap((other) => (other === reader ? [first, second] : [other]));
}

/** Sums of weights may be off by as much as single precision makes them. */
const SUM_TOLERANCE = 1e-5;

/** Whether every row is a mean of rows, of which a constant is itself. */
function isMean({ rows, taps, index, factors }: MixRowsNode): boolean {
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    for (let i = r * taps; i < (r + 1) * taps; i++) if (index[i] >= 0) sum += factors[i];
    if (Math.abs(sum - 1) > SUM_TOLERANCE) return false;
  }
  return true;
}

/** s∘(a + b) + t = (s∘a + t) + s∘b, where those of a and b that change are linear layers that nothing else reads. */
function intoSummands(node: AffineNode, { nodes, output, note }: Draft): readonly GraphNode[] | null {
  const byId = new Map(nodes.map((other) => [other.id, other]));
  const readers = countReaders(nodes, output);
  const sum = byId.get(node.x)!;
  if (sum.op !== 'add' || sum.a === sum.b || sum.cols !== node.cols || readers.get(sum.id) !== 1) return null;
  const parts = [byId.get(sum.a)!, byId.get(sum.b)!].filter(
    (part) =>
      (part.op === 'linear' || part.op === 'depthwise') && readers.get(part.id) === 1 && part.cols === node.cols,
  );
  const shiftsOnly = isOnes(node.scale);
  if (parts.length < (shiftsOnly ? 1 : 2)) return null;
  if (!shiftsOnly) note('scale of a sum into the weights of what is summed');
  const changed = new Map(
    parts.slice(0, shiftsOnly ? 1 : 2).map((part, i) => {
      const shift = i === 0 ? node.shift : new Float32Array(node.cols);
      return [part, intoProducer({ ...node, id: part.id, name: part.name, shift }, part, () => undefined)!];
    }),
  );
  return nodes
    .filter((other) => other !== sum)
    .map((other) => (other === node ? { ...sum, id: node.id, name: node.name } : (changed.get(other) ?? other)));
}

/** Into each of the layers whose channels a gather lays side by side, where nothing else reads them. */
function intoConcatenated(node: AffineNode, { nodes, output, note }: Draft): readonly GraphNode[] | null {
  const byId = new Map(nodes.map((other) => [other.id, other]));
  const readers = countReaders(nodes, output);
  const gather = byId.get(node.x)!;
  if (gather.op !== 'gather' || gather.cols !== node.cols || readers.get(gather.id) !== 1) return null;
  const sources = gather.sources.map((id) => byId.get(id)!);
  if (!sources.every((source) => readers.get(source.id) === 1)) return null;
  const columns = columnsOfSources(gather, sources);
  if (columns === null) return null;
  const changed = new Map<GraphNode, GraphNode>();
  for (const [k, source] of sources.entries()) {
    const pick = (values: Float32Array): Float32Array => Float32Array.from(columns[k], (c) => values[c]);
    const own: AffineNode = {
      ...node,
      id: source.id,
      name: source.name,
      cols: source.cols,
      scale: pick(node.scale),
      shift: pick(node.shift),
    };
    const merged = intoProducer(own, source, () => undefined);
    if (merged === null) return null;
    changed.set(source, merged);
  }
  note('scale of concatenated channels into the weights before them');
  return nodes
    .filter((other) => other !== gather)
    .map((other) => (other === node ? { ...gather, id: node.id, name: node.name } : (changed.get(other) ?? other)));
}

/**
 * For each column of each source the column of the gather that it becomes; null where some become several, none, or
 * there are zeros.
 */
function columnsOfSources({ piece, index, cols }: GatherNode, sources: readonly GraphNode[]): Int32Array[] | null {
  const columns = sources.map((source) => new Int32Array(source.cols).fill(-1));
  const sizes = sources.map((source) => source.rows * source.cols);
  for (let i = 0; i < index.length * piece; i++) {
    const from = index[Math.floor(i / piece)];
    if (from < 0) return null;
    let [k, at] = [0, from * piece + (i % piece)];
    while (at >= sizes[k]) at -= sizes[k++];
    const column = at % sources[k].cols;
    if (columns[k][column] >= 0 && columns[k][column] !== i % cols) return null;
    columns[k][column] = i % cols;
  }
  return columns.every((of) => !of.includes(-1)) ? columns : null;
}
