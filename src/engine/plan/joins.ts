/** Gathers that are done in place. */
import { rowSources } from '../ops/gather.js';
import type { ValueSpec } from '../values.js';
import type { Step, Work } from './types.js';

/** A gather that replaces the first rows of a value nobody else reads: done in place, only these rows move. */
export interface Join {
  readonly step: number;
  readonly rows: number;
}

/** By the value that is replaced. */
export function findJoins(work: Work, values: readonly ValueSpec[], steps: readonly Step[]): Map<number, Join> {
  const maker = new Array<Step | undefined>(values.length).fill(undefined);
  const readers = new Int32Array(values.length);
  for (const step of steps) {
    maker[step.out] = step;
    for (const id of new Set(step.operands)) readers[id]++;
  }
  const joins = new Map<number, Join>();
  steps.forEach(({ op, operands, out }, i) => {
    if (op?.op !== 'gather' || operands.length !== 2) return;
    const [first, rest] = operands;
    const made = maker[rest]?.op?.op;
    const isOwn = maker[rest] !== undefined && made !== 'constant' && made !== 'gather' && rest !== work.output;
    if (!isOwn || values[rest].rows !== op.rows || readers[rest] > 1 || values[out].out.type === 'rows') return;
    const sources = rowSources(
      op,
      operands.map((id) => values[id]),
    );
    const { rows } = values[first];
    if (sources?.every((source, r) => source === (r < rows ? 0 : 1))) joins.set(rest, { step: i, rows });
  });
  return joins;
}
