import type { NameHints } from './naming.js';
import { mergeHints } from './naming.js';
import type { AffineNode, GraphNode } from './types.js';

/** The ids of the values that a node reads. */
export function operandsOf(node: GraphNode): readonly string[] {
  switch (node.op) {
    case 'patchEmbed':
    case 'constant':
      return [];
    case 'add':
      return [node.a, node.b];
    case 'attention':
      return [node.q.source, node.k.source, node.v.source];
    case 'gather':
      return node.sources;
    default:
      return [node.x];
  }
}

/** The node reading other values: `rename` gives the new id for each old one. */
export function withOperands(node: GraphNode, rename: (id: string) => string): GraphNode {
  switch (node.op) {
    case 'patchEmbed':
    case 'constant':
      return node;
    case 'add':
      return { ...node, a: rename(node.a), b: rename(node.b) };
    case 'attention': {
      const view = <T extends { source: string }>(v: T): T => ({ ...v, source: rename(v.source) });
      return { ...node, q: view(node.q), k: view(node.k), v: view(node.v) };
    }
    case 'gather':
      return { ...node, sources: node.sources.map(rename) };
    default:
      return { ...node, x: rename(node.x) };
  }
}

/**
 * Folds what is only a factor or a summand per channel into the linear layers and norms beside it: biases, γ and β,
 * LayerScale, BatchNorm, the halving of a mean of two heads. Values keep the id of the tensor they equal.
 */
export function simplify(
  nodes: readonly GraphNode[],
  output: string,
  hints: Map<string, NameHints>,
): { nodes: GraphNode[]; output: string; folded: string[] } {
  const folded = new Map<string, number>();
  const note = (what: string): void => void folded.set(what, (folded.get(what) ?? 0) + 1);
  let list = [...nodes];
  for (let changed = true; changed; ) {
    changed = false;
    const byId = new Map(list.map((node) => [node.id, node]));
    const readers = countReaders(list, output);
    const gone = new Set<string>();
    const replaced = new Map<string, GraphNode>();
    for (const node of list) {
      if (node.op !== 'affine' || gone.has(node.id)) continue;
      const x = byId.get(node.x)!;
      if (readers.get(x.id) !== 1 || gone.has(x.id) || replaced.has(x.id)) continue;
      const merged = intoProducer(node, x, note);
      if (!merged) continue;
      gone.add(x.id);
      replaced.set(node.id, merged);
      hints.set(node.id, mergeHints(hints.get(x.id)!, hints.get(node.id)!));
      changed = true;
    }
    if (!changed) {
      for (const node of list) {
        const pushed = intoReaders(node, list, output, byId, readers, note);
        if (!pushed) continue;
        for (const [id, next] of pushed.replaced) replaced.set(id, next);
        for (const id of pushed.gone) gone.add(id);
        changed = true;
        break;
      }
    }
    list = list.filter((node) => !gone.has(node.id)).map((node) => replaced.get(node.id) ?? node);
  }
  return { nodes: list, output, folded: [...folded].map(([what, count]) => (count > 1 ? `${count} × ${what}` : what)) };
}

function countReaders(nodes: readonly GraphNode[], output: string): Map<string, number> {
  const readers = new Map<string, number>([[output, 1]]);
  for (const node of nodes) for (const id of new Set(operandsOf(node))) readers.set(id, (readers.get(id) ?? 0) + 1);
  return readers;
}

const isOnes = (values: Float32Array): boolean => values.every((value) => value === 1);

/** The node that computes x and the affine step after it, under the affine's id; null where they cannot be one. */
function intoProducer(node: AffineNode, x: GraphNode, note: (what: string) => void): GraphNode | null {
  const { scale, shift } = node;
  const named = { id: node.id, name: node.name };
  switch (x.op) {
    case 'linear':
    case 'patchEmbed': {
      if (x.cols !== node.cols) return null;
      const k = x.weight.length / x.cols;
      if (!isOnes(scale)) note('channel scale → weights of the layer before');
      const weight = isOnes(scale) ? x.weight : x.weight.map((w, i) => w * scale[Math.floor(i / k)]);
      return { ...x, ...named, weight, bias: x.bias.map((b, n) => b * scale[n] + shift[n]) };
    }
    case 'layerNorm':
      if (x.cols !== node.cols) return null;
      return { ...x, ...named, gamma: x.gamma.map((g, c) => g * scale[c]), beta: x.beta.map((b, c) => b * scale[c] + shift[c]) };
    case 'affine':
      if (x.cols !== node.cols) return null;
      return { ...x, ...named, scale: x.scale.map((s, c) => s * scale[c]), shift: x.shift.map((b, c) => b * scale[c] + shift[c]) };
    case 'addConst':
      return isOnes(scale) ? { ...x, ...named, value: x.value.map((v, i) => v + shift[i % node.cols]) } : null;
    case 'constant':
      note('arithmetic on constant tokens');
      return { ...x, ...named, value: x.value.map((v, i) => v * scale[i % node.cols] + shift[i % node.cols]) };
    default:
      return null;
  }
}

interface Pushed {
  readonly replaced: Map<string, GraphNode>;
  readonly gone: readonly string[];
}

/** Folds an affine step into all that read it (linear layers), or through a sum into what is summed. */
function intoReaders(
  node: GraphNode,
  list: readonly GraphNode[],
  output: string,
  byId: ReadonlyMap<string, GraphNode>,
  readers: ReadonlyMap<string, number>,
  note: (what: string) => void,
): Pushed | null {
  if (node.op !== 'affine') return null;
  const replaced = new Map<string, GraphNode>();
  const reading = list.filter((other) => operandsOf(other).includes(node.id));
  if (node.id !== output && reading.length > 0 && reading.every((other) => other.op === 'linear' && other.inFeatures % node.cols === 0)) {
    for (const other of reading) {
      if (other.op !== 'linear') continue;
      const k = other.inFeatures;
      const bias = Float64Array.from(other.bias);
      const weight = other.weight.map((w, i) => {
        bias[Math.floor(i / k)] += w * node.shift[(i % k) % node.cols];
        return w * node.scale[(i % k) % node.cols];
      });
      replaced.set(other.id, { ...other, x: node.x, weight, bias: Float32Array.from(bias) });
    }
    note('channel scale → weights of the layer after');
    return { replaced, gone: [node.id] };
  }
  const sum = byId.get(node.x)!;
  if (sum.op !== 'add' || readers.get(sum.id) !== 1 || sum.cols !== node.cols) return null;
  const [a, b] = [byId.get(sum.a)!, byId.get(sum.b)!];
  if (a === b || [a, b].some((part) => part.op !== 'linear' || readers.get(part.id) !== 1 || part.cols !== node.cols)) return null;
  const scaled = (part: GraphNode, shift: Float32Array): GraphNode =>
    intoProducer({ ...node, id: part.id, name: part.name, shift }, part, () => undefined)!;
  replaced.set(a.id, scaled(a, node.shift));
  replaced.set(b.id, scaled(b, new Float32Array(node.cols)));
  replaced.set(node.id, { ...sum, id: node.id, name: node.name });
  note('factor of a sum of heads → their weights');
  return { replaced, gone: [sum.id] };
}

/** Nodes that the output needs, in their order. */
export function liveNodes(nodes: readonly GraphNode[], output: string): GraphNode[] {
  const live = new Set([output]);
  for (let i = nodes.length - 1; i >= 0; i--) if (live.has(nodes[i].id)) for (const id of operandsOf(nodes[i])) live.add(id);
  return nodes.filter((node) => live.has(node.id));
}
