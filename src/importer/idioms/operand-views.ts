/** Where products of activations read their operands. */
import type { Expr } from '../expr.js';
import { applyLayout, gcd, identityLayout, permute, refine } from '../../graph/layout.js';
import type { Lowered, Lowerer } from '../lower.js';
import type { AttentionView } from '../../graph/types.js';

/** q, k or v as [groups, tokens, dim], with the place of each token's channels where they lie side by side. */
export interface Operand {
  readonly expr: Expr;
  readonly lowered: Lowered;
  readonly tokens: number;
  readonly dim: number;
  /** First channel of token i of group g at `starts[g·tokens + i]` of the one source; null where there is no such. */
  readonly starts: Float64Array | null;
}

/** An operand of a product, as `lowered` has it. */
export function operand(expr: Expr, lowered: Lowered, tokens: number, dim: number): Operand {
  return { expr, lowered, tokens, dim, starts: runStarts(lowered, dim) };
}

/** The same with its groups in another order: group i is `groups[i]`. For what is read in place. */
export function reordered(o: Operand, groups: Int32Array): Operand {
  const { starts, tokens } = o;
  return { ...o, starts: starts && applyLayout({ piece: tokens, index: groups }, starts) };
}

function runStarts({ layout, sources }: Lowered, dim: number): Float64Array | null {
  if (sources.length !== 1) return null;
  const { piece, index } = refine(layout, gcd(layout.piece, dim));
  const each = dim / piece;
  const starts = new Float64Array(index.length / each);
  for (let i = 0; i < index.length; i++) {
    if (index[i] < 0) return null;
    if (i % each === 0) starts[i / each] = index[i] * piece;
    else if (index[i] !== index[i - 1] + 1) return null;
  }
  return starts;
}

/** The number of heads for which all operands can be read in place; else the innermost leading axis. */
export function chooseHeads(operands: readonly Operand[], groups: number, hint: number, lowerer: Lowerer): number {
  const fallback = groups % hint === 0 ? hint : 1;
  return headsInPlace(operands, groups, hint, lowerer) ?? fallback;
}

/** The number of heads for which all operands can be read in place, or null. */
export function headsInPlace(
  operands: readonly Operand[],
  groups: number,
  hint: number,
  lowerer: Lowerer,
): number | null {
  const divisors = Array.from({ length: groups }, (_, i) => groups - i).filter((heads) => groups % heads === 0);
  const first = groups % hint === 0 ? hint : 1;
  const isInPlace = (heads: number): boolean => operands.every((o) => stridedView(o, groups, heads, lowerer) !== null);
  return [first, ...divisors].find(isInPlace) ?? null;
}

/** Reads an operand in place, or null where its heads are not at one distance or its tokens not at one column. */
function stridedView(
  { lowered, starts, tokens, dim }: Operand,
  groups: number,
  heads: number,
  lowerer: Lowerer,
): AttentionView | null {
  if (!starts) return null;
  const [source] = lowered.sources;
  const { cols } = lowerer.node(source);
  const headStride = heads > 1 ? starts[tokens] - starts[0] : dim;
  const span = (heads - 1) * headStride + dim;
  // Norms per head write rows of one head: all heads of a token make one row of the view.
  const stride = Math.ceil(span / cols) * cols;
  const offset = starts[0] % stride;
  if (headStride < 0 || offset + span > stride || lowerer.sizeOf(source) % stride !== 0) return null;
  const batch = groups / heads;
  const rows = new Int32Array(batch * tokens);
  for (let w = 0; w < batch; w++)
    for (let i = 0; i < tokens; i++) {
      const first = starts[w * heads * tokens + i];
      if (first % stride !== offset) return null;
      for (let h = 1; h < heads; h++) if (starts[(w * heads + h) * tokens + i] !== first + h * headStride) return null;
      rows[w * tokens + i] = Math.floor(first / stride);
    }
  const inPlace = rows.length * stride === lowerer.sizeOf(source) && rows.every((row, i) => row === i);
  return { source, stride, rows: inPlace ? null : rows, offset, headStride };
}

/**
 * Where a product reads an operand: in place, else from a copy in order.
 *
 * @param channels `apart`: each has a scale of its own, by its column, so that tokens must lie in the same columns
 */
export function viewOf(
  o: Operand,
  groups: number,
  heads: number,
  lowerer: Lowerer,
  channels: 'alike' | 'apart',
): AttentionView {
  const view = stridedView(o, groups, heads, lowerer);
  if (view) return view;
  const batch = groups / heads;
  const order = permute([batch, heads, o.tokens, o.dim], [0, 2, 1, 3]);
  const cols = heads * o.dim;
  const rows = batch * o.tokens;
  const read = lowerer.inOrder(lowerer.rearranged(o.lowered, order, [rows, cols]), cols, o.expr);
  const isInRows = channels === 'alike' || cols % lowerer.node(read).cols === 0;
  const source = isInRows ? read : inRowsOf(cols, read, o.expr, lowerer);
  return { source, stride: cols, rows: null, offset: 0, headStride: o.dim };
}

/** A node's value in rows of `cols` elements. */
function inRowsOf(cols: number, id: string, expr: Expr, lowerer: Lowerer): string {
  const size = lowerer.sizeOf(id);
  const [rows, { piece, index }] = [size / cols, identityLayout(size)];
  const node = { op: 'gather' as const, rows, cols, sources: [id], piece, index };
  return lowerer.emit({ ...expr, tensor: '' }, node, [], [rows, cols]).sources[0];
}
