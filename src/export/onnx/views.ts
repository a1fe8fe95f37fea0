import type { OperandView } from '../../program/types.js';
import { elements } from '../../program/value.js';
import type { IntegerGraph, Tensor } from './graph.js';
import { asMatrix, type GraphValue } from './value.js';

/** What is read through a view. */
interface Reads {
  readonly batch: number;
  readonly tokens: number;
  readonly heads: number;
  readonly length: number;
}

/** What a view shows, [batch, heads, tokens, length], or with `isTransposed` [batch, heads, length, tokens]. */
export function readView(
  g: IntegerGraph,
  value: GraphValue,
  view: OperandView,
  { batch, tokens, heads, length }: Reads,
  isTransposed: boolean,
): Tensor {
  const source = asMatrix(g, value, view.stride);
  const sourceRows = elements(value) / view.stride;
  const rows = takeRows(g, source, view.rows, batch * tokens, sourceRows);
  const columns = takeColumns(g, rows, view, heads, length);
  const split = g.reshape(columns, [batch, tokens, heads, length]);
  return g.transpose(split, isTransposed ? [0, 2, 3, 1] : [0, 2, 1, 3]);
}

function takeRows(g: IntegerGraph, x: Tensor, rows: Int32Array | null, count: number, available: number): Tensor {
  if (rows !== null) return g.gather(x, g.constant(rows, [count]));
  return count === available ? x : g.slice(x, 0, 0, count);
}

function takeColumns(
  g: IntegerGraph,
  x: Tensor,
  { offset, headStride, stride }: OperandView,
  heads: number,
  length: number,
): Tensor {
  if (headStride === length || heads === 1) {
    const count = heads * length;
    return count === stride ? x : g.slice(x, 1, offset, offset + count);
  }
  const columns = Int32Array.from({ length: heads * length }, (_, i) => {
    const head = Math.floor(i / length);
    return offset + head * headStride + (i - head * length);
  });
  return g.gather(x, g.constant(columns, [columns.length]), 1);
}
