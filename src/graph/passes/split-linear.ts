import type { NameHints } from '../name-hints.js';
import { operandsOf } from '../nodes/index.js';
import type { AttentionView, GatherNode, GraphNode, LinearNode, RotaryNode } from '../types.js';
import type { Draft, Pass } from './pass.js';

/**
 * Where columns are taken out of a linear layer's output (queries that go through a norm of their own or are turned by
 * their position, channels that are interleaved), the layer is cut into one for each reader instead: rows of its
 * weights are moved, not activations.
 */
export const splitLinear: Pass = (draft) => {
  for (const node of draft.nodes) {
    if (node.op !== 'linear' || node.id === draft.output) continue;
    const split = splitOne(node, draft);
    if (split) return split;
  }
  return null;
};

/** One reader's columns of the layer, in the order it wants them. */
interface Share {
  readonly columns: Int32Array;
  readonly reader: GraphNode;
  /** Of an attention or a product: the operand that reads them. */
  readonly side?: string;
}

function splitOne(linear: LinearNode, { nodes, hints }: Draft): readonly GraphNode[] | null {
  const shares: Share[] = [];
  for (const reader of nodes) {
    if (!operandsOf(reader).includes(linear.id)) continue;
    const own = sharesOf(reader, linear);
    if (own === null) return null;
    shares.push(...own);
  }
  const total = shares.reduce((sum, share) => sum + share.columns.length, 0);
  const gains = shares.some(({ reader }) => reader.op === 'gather' || (reader.op === 'rotary' && shares.length > 1));
  if (!gains || total > linear.cols) return null;

  const order = [...shares].sort((a, b) => a.columns[0] - b.columns[0]);
  const parts = new Map<Share, LinearNode>();
  for (const share of shares) {
    const { reader, columns } = share;
    const id = reader.op === 'gather' ? reader.id : `${linear.id}#${order.indexOf(share)}`;
    const part = selectRows(linear, columns, id);
    parts.set(share, part);
    const suffix = shares.length === 3 ? ['q', 'k', 'v'][order.indexOf(share)] : String(order.indexOf(share));
    hints.set(part.id, suffixed(hints.get(linear.id)!, suffix));
  }
  return nodes.flatMap((node): GraphNode[] => {
    if (node.id === linear.id)
      return shares.filter(({ reader }) => reader.op !== 'gather').map((share) => parts.get(share)!);
    const own = shares.filter(({ reader }) => reader === node);
    return [own.reduce((moved: GraphNode, share) => readPart(moved, share, parts.get(share)!), node)];
  });
}

/** The columns that a reader takes; null where it takes anything else. */
function sharesOf(reader: GraphNode, linear: LinearNode): Share[] | null {
  switch (reader.op) {
    case 'gather': {
      const columns = selectedColumns(reader, linear);
      return columns && [{ columns, reader }];
    }
    case 'rotary': {
      if (reader.xCols !== linear.cols) return null;
      return [{ columns: Int32Array.from({ length: reader.cols }, (_, n) => reader.column + n), reader }];
    }
    case 'attention': {
      const { q, k, v, heads, dim, valueDim } = reader;
      return sharesOfViews(reader, { q, k, v }, (side) => ({ heads, dim: side === 'v' ? valueDim : dim }), linear);
    }
    case 'matmul': {
      const { a, b, heads, dim } = reader;
      return sharesOfViews(reader, { a, b }, () => ({ heads, dim }), linear);
    }
    default:
      return null;
  }
}

function sharesOfViews(
  reader: GraphNode,
  views: Readonly<Record<string, AttentionView>>,
  sizeOf: (side: string) => { readonly heads: number; readonly dim: number },
  linear: LinearNode,
): Share[] | null {
  const shares: Share[] = [];
  for (const [side, view] of Object.entries(views)) {
    if (view.source !== linear.id) continue;
    if (view.stride !== linear.cols) return null;
    shares.push({ columns: columnsOfView(view, sizeOf(side)), reader, side });
  }
  return shares;
}

/** The reader, reading its part. */
function readPart(reader: GraphNode, { side }: Share, part: LinearNode): GraphNode {
  if (reader.op === 'gather') return part;
  if (reader.op === 'rotary') return { ...(reader satisfies RotaryNode), x: part.id, xCols: part.cols, column: 0 };
  const view = (reader as unknown as Record<string, AttentionView>)[side!];
  return { ...reader, [side!]: { ...view, source: part.id, stride: part.cols, offset: 0 } } as GraphNode;
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

function columnsOfView(
  view: AttentionView,
  { heads, dim }: { readonly heads: number; readonly dim: number },
): Int32Array {
  const last = view.offset + (heads - 1) * view.headStride + dim;
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
