/** Values that are made where a gather would move them. */
import type { Run, Step, Work } from '../../engine/plan/types.js';
import type { ValueSpec } from '../../engine/values.js';
import type { GatherOp } from '../../program/types.js';

/**
 * A gather of rows that takes most of them from one value, in order, which nobody else reads: that value is made in the
 * gather's own memory, `shift` rows further on, and only the gather's first `rows` rows are moved.
 */
export interface Inner {
  /** The gather's step. */
  readonly step: number;
  readonly shift: number;
  readonly rows: number;
}

/**
 * By the value that lies within another.
 *
 * @param rows by step, those that are computed; null: none
 */
export function findInner(
  work: Work,
  values: readonly ValueSpec[],
  steps: readonly Step[],
  rows: readonly (Run | null)[],
): Map<number, Inner> {
  const maker = new Map(steps.flatMap((step, i) => (rows[i] === null ? [] : [[step.out, step] as const])));
  const readers = new Map<number, number>();
  for (const { operands } of steps) for (const id of new Set(operands)) readers.set(id, (readers.get(id) ?? 0) + 1);
  const inner = new Map<number, Inner>();
  steps.forEach(({ op, operands, out }, step) => {
    if (op?.op !== 'gather' || values[out].out.type === 'rows' || new Set(operands).size < operands.length) return;
    const found = lastSource(
      op,
      operands.map((id) => values[id]),
    );
    if (found === null) return;
    const id = operands[found.source];
    const made = maker.get(id)?.op?.op;
    const isOwn = maker.has(id) && made !== 'constant' && made !== 'gather' && id !== work.output;
    if (isOwn && readers.get(id) === 1) inner.set(id, { step, shift: found.shift, rows: found.rows });
  });
  return inner;
}

/** The source that all rows from some row on come from, in order; null where that is not so. */
function lastSource(
  { piece, cols, rows, index }: GatherOp,
  sources: readonly ValueSpec[],
): { source: number; shift: number; rows: number } | null {
  if (piece !== cols || sources.some((source) => source.cols !== cols)) return null;
  const spans: Run[] = [];
  for (const source of sources) {
    const start = spans.at(-1)?.[1] ?? 0;
    spans.push([start, start + source.rows]);
  }
  const source = spans.findIndex(([first, end]) => index[rows - 1] >= first && index[rows - 1] < end);
  if (source < 0) return null;
  const shift = rows - 1 - (index[rows - 1] - spans[source][0]);
  const isOwn = (r: number): boolean => r >= shift && index[r] === spans[source][0] + r - shift;
  let first = rows;
  while (first > 0 && isOwn(first - 1)) first--;
  const isElsewhere = index.subarray(0, first).some((from) => from >= spans[source][0] && from < spans[source][1]);
  const isInside = shift >= 0 && shift + sources[source].rows <= rows;
  return first === 0 || isElsewhere || !isInside ? null : { source, shift, rows: first };
}
