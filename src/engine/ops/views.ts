import type { OperandView } from '../../program/types.js';
import { pickRows, scaleRuns } from '../plan/runs.js';
import type { Run } from '../plan/types.js';
import type { ValueSpec } from '../values.js';
import type { Request } from './definition.js';

/** What is read through a view: `length` channels of each head of some tokens. */
interface ViewReads {
  readonly tokens: readonly Run[];
  readonly heads: number;
  readonly length: number;
}

/** Asks for what an op reads of value `id` through a view. */
export function requestView(
  view: OperandView,
  id: number,
  { tokens, heads, length }: ViewReads,
  values: readonly ValueSpec[],
  request: Request,
): void {
  const { cols } = values[id];
  const columns: Run = [view.offset, view.offset + (heads - 1) * view.headStride + length];
  const rows = view.rows === null ? tokens : pickRows(view.rows, tokens);
  if (view.stride === cols) request(id, rows, columns);
  else request(id, scaleRuns(rows, view.stride, cols));
}
