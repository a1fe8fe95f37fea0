import { mergeHints } from '../name-hints.js';
import { countReaders } from '../liveness.js';
import { operandsOf } from '../nodes/index.js';
import type { AffineNode, GraphNode } from '../types.js';
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
    const moved = intoLinearReaders(node, draft) ?? pastReader(node, draft) ?? intoSummands(node, draft);
    if (moved) return moved;
  }
  return null;
}

/** W·(s∘x + t) + b = (W∘s)·x + (W·t + b), where linear layers alone read it. */
function intoLinearReaders(node: AffineNode, { nodes, output, note }: Draft): readonly GraphNode[] | null {
  const reading = nodes.filter((other) => operandsOf(other).includes(node.id));
  const fits = (other: GraphNode): boolean => other.op === 'linear' && other.inFeatures % node.cols === 0;
  if (node.id === output || reading.length === 0 || !reading.every(fits)) return null;
  note('scale per channel into the weights after it');
  return nodes
    .filter((other) => other !== node)
    .map((other) => {
      if (other.op !== 'linear' || other.x !== node.id) return other;
      const bias = Float64Array.from(other.bias);
      const weight = other.weight.map((w, i) => {
        const c = (i % other.inFeatures) % node.cols;
        bias[Math.floor(i / other.inFeatures)] += w * node.shift[c];
        return w * node.scale[c];
      });
      return { ...other, x: node.x, weight, bias: Float32Array.from(bias) };
    });
}

/** A gather of whole rows, or a mean over rows, may come first. */
function pastReader(node: AffineNode, { nodes, output, hints }: Draft): readonly GraphNode[] | null {
  const reading = nodes.filter((other) => operandsOf(other).includes(node.id));
  const [reader] = reading;
  if (node.id === output || reading.length !== 1 || reader.cols % node.cols !== 0) return null;
  const commutes =
    reader.op === 'meanRows' ||
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

/** s∘(a + b) + t = (s∘a + t) + s∘b, where those of a and b that change are linear layers that nothing else reads. */
function intoSummands(node: AffineNode, { nodes, output, note }: Draft): readonly GraphNode[] | null {
  const byId = new Map(nodes.map((other) => [other.id, other]));
  const readers = countReaders(nodes, output);
  const sum = byId.get(node.x)!;
  if (sum.op !== 'add' || sum.a === sum.b || sum.cols !== node.cols || readers.get(sum.id) !== 1) return null;
  const parts = [byId.get(sum.a)!, byId.get(sum.b)!].filter(
    (part) => part.op === 'linear' && readers.get(part.id) === 1 && part.cols === node.cols,
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
