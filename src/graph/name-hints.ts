import { operandsOf } from './nodes/index.js';
import type { GraphNode } from './types.js';

/** Where a node's name may come from, best first in each list. */
export interface NameHints {
  /** Weights' names without their last part, e.g. `blocks.0.attn.qkv`. */
  readonly weights: readonly string[];
  /** Module path written by the exporter, e.g. `blocks.0.attn`. */
  readonly paths: readonly string[];
}

export const noHints: NameHints = { weights: [], paths: [] };

export const mergeHints = (a: NameHints, b: NameHints): NameHints => ({
  weights: [...a.weights, ...b.weights],
  paths: [...a.paths, ...b.paths],
});

/** Names that exporters make up: numbers, `onnx::MatMul_123`, `val_12`, `/blocks/Constant_3_output_0`. */
export const ANONYMOUS = /^(\d+|onnx::.*|val_\d+|.*_output_\d+|t\d+_\w+|.*#.*|.*(shape|reshape).*|const.*|_.*|)$/i;

/** Chooses a readable, unique name for each node; nodes are in the order of computation. */
export function chooseNames(nodes: readonly GraphNode[], hints: ReadonlyMap<string, NameHints>): Map<string, string> {
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const node of nodes) {
    const base = baseName(node, hints.get(node.id) ?? noHints, names);
    let name = base;
    for (let i = 2; taken.has(name); i++) name = `${base}.${i}`;
    taken.add(name);
    names.set(node.id, name);
  }
  return names;
}

/** What to call nodes that have no weights of their own, after the module they are in. */
const ROLE: Readonly<Record<string, string>> = {
  activation: 'act',
  attention: 'attention',
  add: 'add',
  addConst: 'add',
  gather: 'gather',
  meanRows: 'mean',
  constant: 'constant',
  affine: 'scale',
  l2Norm: 'normalize',
};

function baseName(node: GraphNode, { weights, paths }: NameHints, names: ReadonlyMap<string, string>): string {
  const { op, id } = node;
  const weighted =
    op === 'linear' || op === 'layerNorm' || op === 'patchEmbed' || op === 'constant' || op === 'addConst';
  const own = weighted ? (weights[0] ?? paths[0]) : undefined;
  if (own !== undefined) {
    const isPacked = op === 'linear' && node.cols === 3 * node.inFeatures && /(attn|attention)$/.test(own);
    return isPacked ? `${own}.qkv` : own;
  }
  const role = ROLE[op] ?? op;
  const path = paths[0] ?? neighbourPath(node, names);
  if (path === undefined) return ANONYMOUS.test(id) || !/[./]/.test(id) ? role : id;
  return path.endsWith(role) ? path : `${path}.${role}`;
}

/** Where the exporter noted no module: the one that what is read belongs to. */
function neighbourPath(node: GraphNode, names: ReadonlyMap<string, string>): string | undefined {
  // A residual sum belongs to the block around the branch that it adds, which comes second or first.
  const operands = node.op === 'add' ? [node.b, node.a] : operandsOf(node);
  const up = node.op === 'add' ? 2 : 1;
  for (const id of operands) {
    const parts = (names.get(id) ?? '').split('.');
    if (parts.length > up) return parts.slice(0, -up).join('.');
  }
  return undefined;
}
