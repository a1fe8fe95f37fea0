import * as v from 'valibot';
import type { OpCheck } from '../check.js';
import { MAX_ELEMENTS } from '../limits.js';
import { elements, type ValueId, type ValueInfo, type ValueType } from '../value.js';
import { integer, type TensorField } from './definition.js';

/**
 * Where attention and matrix products find an operand; the same as the float graph's `AttentionView`, on a value of
 * `stride` columns: the channels of head h of token t (counted over all windows) lie in its row rows[t], from column
 * offset + h·headStride on.
 */
export interface OperandView {
  readonly x: ValueId;
  /** Row length of the source. */
  readonly stride: number;
  /** [batch·tokens], or null: token i lies in row i. */
  readonly rows: Int32Array | null;
  readonly offset: number;
  readonly headStride: number;
}

/** A view in the program's JSON. */
export const viewSchema = v.strictObject({ x: integer, stride: integer, offset: integer, headStride: integer });

/** The tensor `<view>.rows`: one row for each token of each window. */
export const rowsOf = (view: string, batch: number, tokens: number): TensorField => ({
  field: `${view}.rows`,
  dtype: 'I32',
  shape: [batch, tokens],
  optional: true,
});

/** What an op reads through a view: `length` channels of every head of every token. */
export interface ViewReads {
  readonly type: ValueType;
  readonly tokens: number;
  readonly heads: number;
  readonly length: number;
}

/** Every element that the view reads lies inside its source. */
export function validateView(
  check: OpCheck,
  what: string,
  view: OperandView,
  source: ValueInfo,
  { type, tokens, heads, length }: ViewReads,
): void {
  check.type(what, source, type);
  check.count(`${what}.stride`, view.stride, 1, MAX_ELEMENTS);
  check.count(`${what}.offset`, view.offset, 0, MAX_ELEMENTS);
  check.count(`${what}.headStride`, view.headStride, 0, MAX_ELEMENTS);
  const last = view.offset + (heads - 1) * view.headStride + length;
  check.that(last <= view.stride, `${what} reads up to column ${last} of rows of ${view.stride}`);
  const total = elements(source);
  check.that(total % view.stride === 0, `${what}'s source of ${total} elements has no whole rows of ${view.stride}`);
  if (view.rows === null) {
    check.that(tokens * view.stride <= total, `${what} reads ${tokens} rows of ${view.stride} from ${total} elements`);
    return;
  }
  check.length(`${what}.rows`, view.rows, tokens);
  for (const row of view.rows) {
    check.that(row >= 0 && (row + 1) * view.stride <= total, `${what} reads row ${row}, outside its source`);
  }
}
