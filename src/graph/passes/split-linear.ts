import type { NameHints } from '../name-hints.js';
import { operandsOf } from '../nodes/index.js';
import type { AttentionNode, AttentionView, GatherNode, GraphNode, LinearNode } from '../types.js';
import type { Draft, Pass } from './pass.js';

/**
 * Where columns are gathered out of a linear layer's output (queries that go through a norm of their own, channels that
 * are interleaved), the layer is cut into one for each reader instead: rows of its weights are moved, not activations.
 */
export const splitLinear: Pass = (draft) => {
  for (const node of draft.nodes) {
    if (node.op !== 'linear' || node.id === draft.output) continue;
    const split = splitOne(node, draft);
    if (split) return split;
  }
  return null;
};

type Side = 'q' | 'k' | 'v';

/** One reader's columns of the layer, in the order it wants them. */
interface Share {
  readonly columns: Int32Array;
  readonly gather: GatherNode | null;
  readonly views: readonly { readonly node: AttentionNode; readonly side: Side }[];
}

function splitOne(linear: LinearNode, { nodes, hints }: Draft): readonly GraphNode[] | null {
  const shares: Share[] = [];
  for (const reader of nodes) {
    if (!operandsOf(reader).includes(linear.id)) continue;
    if (reader.op === 'gather') {
      const columns = selectedColumns(reader, linear);
      if (!columns) return null;
      shares.push({ columns, gather: reader, views: [] });
    } else if (reader.op === 'attention') {
      for (const side of ['q', 'k', 'v'] as const) {
        const view = reader[side];
        if (view.source !== linear.id) continue;
        if (view.stride !== linear.cols) return null;
        shares.push({ columns: columnsOfView(view, reader, side), gather: null, views: [{ node: reader, side }] });
      }
    } else return null;
  }
  const total = shares.reduce((sum, share) => sum + share.columns.length, 0);
  if (!shares.some((share) => share.gather) || total > linear.cols) return null;

  const order = [...shares].sort((a, b) => a.columns[0] - b.columns[0]);
  const parts = new Map<Share, LinearNode>();
  for (const share of shares) {
    const part = selectRows(linear, share.columns, share.gather?.id ?? `${linear.id}#${order.indexOf(share)}`);
    parts.set(share, part);
    const suffix = shares.length === 3 ? ['q', 'k', 'v'][order.indexOf(share)] : String(order.indexOf(share));
    hints.set(part.id, suffixed(hints.get(linear.id)!, suffix));
  }
  const gathers = new Map(shares.flatMap((share) => (share.gather ? [[share.gather.id, parts.get(share)!]] : [])));
  return nodes.flatMap((node): GraphNode[] => {
    if (node.id === linear.id) return shares.filter((share) => !share.gather).map((share) => parts.get(share)!);
    const part = gathers.get(node.id);
    if (part) return [part];
    if (node.op !== 'attention') return [node];
    let moved = node;
    for (const share of shares)
      for (const view of share.views) {
        if (view.node !== node) continue;
        const { id: source, cols: stride } = parts.get(share)!;
        moved = { ...moved, [view.side]: { ...moved[view.side], source, stride, offset: 0 } };
      }
    return [moved];
  });
}

/** The columns that a gather takes of every row, rows in order; null where it does anything else. */
function selectedColumns(gather: GatherNode, linear: LinearNode): Int32Array | null {
  const size = gather.rows * gather.cols;
  if (gather.sources.length !== 1 || size % linear.rows !== 0) return null;
  const width = size / linear.rows;
  const { piece, index } = gather;
  const columns = new Int32Array(width);
  for (let at = 0; at < size; at++) {
    const from = index[Math.floor(at / piece)] * piece + (at % piece);
    const column = from - Math.floor(at / width) * linear.cols;
    if (column < 0 || column >= linear.cols) return null;
    if (at < width) columns[at] = column;
    else if (columns[at % width] !== column) return null;
  }
  return new Set(columns).size === width ? columns : null;
}

function columnsOfView(view: AttentionView, node: AttentionNode, side: Side): Int32Array {
  const last = view.offset + (node.heads - 1) * view.headStride + (side === 'v' ? node.valueDim : node.dim);
  return Int32Array.from({ length: last - view.offset }, (_, i) => view.offset + i);
}

function selectRows(linear: LinearNode, columns: Int32Array, id: string): LinearNode {
  const k = linear.inFeatures;
  const weight = new Float32Array(columns.length * k);
  columns.forEach((column, n) => weight.set(linear.weight.subarray(column * k, (column + 1) * k), n * k));
  const bias = Float32Array.from(columns, (column) => linear.bias[column]);
  return { ...linear, id, name: id, cols: columns.length, weight, bias };
}

function suffixed(hints: NameHints, suffix: string): NameHints {
  const add = (name: string): string => (name.endsWith('.qkv') ? `${name.slice(0, -3)}${suffix}` : `${name}.${suffix}`);
  return { weights: hints.weights.map(add), paths: hints.paths.map(add) };
}
