/** The plan of a program: what is computed at all, in which order and blocks, and where every value lies. */
import { operandsOf } from '../../program/operands.js';
import type { Op, Program } from '../../program/types.js';
import { engineOpOf } from '../ops/index.js';
import { imageValue, type ValueSpec } from '../values.js';
import { findJoins } from './joins.js';
import { placeValues } from './memory.js';
import { cutRuns } from './runs.js';
import { formStages } from './stages.js';
import type { Plan, Step, Tile, Work } from './types.js';
import { findUses } from './uses.js';

export type * from './types.js';

export function workOfProgram(program: Program): Work {
  const { input, ops, output } = program;
  const image = imageValue(input, new Uint8Array(0));
  return { inputs: [image], ops, operands: ops.map(operandsOf), output, image: input };
}

export function workOfOp(op: Op, operands: readonly ValueSpec[], image: Program['input']): Work {
  // Of values, too, only type and shape are kept, not the data.
  const inputs = operands.map(({ out, rows, cols }) => ({ out, rows, cols }));
  return { inputs, ops: [op], operands: [inputs.map((_, i) => i)], output: inputs.length, image };
}

/** Lays out the work. */
export function planWork(work: Work, tile: Tile): Plan {
  const { values, steps } = lower(work);
  const uses = findUses(work.output, values, steps, tile);
  const joins = findJoins(work, values, steps);
  for (const { step, rows } of joins.values())
    uses[step] = uses[step].map((use) => ({ ...use, runs: cutRuns(use.runs, rows) }));
  const stages = formStages(values, steps, uses, tile);
  return { values, steps, stages, ...placeValues(work, { values, steps, stages }, joins) };
}

/** The values and steps of the work, as engines run them. */
export function lower(work: Work): { values: ValueSpec[]; steps: Step[] } {
  const opValue = work.inputs.length;
  const values: ValueSpec[] = [...work.inputs, ...work.ops.map(({ out, rows, cols }) => ({ out, rows, cols }))];
  const steps: Step[] = [];
  work.ops.forEach((op, i) => {
    const out = opValue + i;
    const operands = work.operands[i];
    if (engineOpOf(op).quantizesApart && op.out.type === 'rows') {
      const int32 = values.push({ out: { type: 'i32' }, rows: op.rows, cols: op.cols }) - 1;
      steps.push({ op, out: int32, operands }, { op: null, out, operands: [int32] });
    } else {
      steps.push({ op, out, operands });
    }
  });
  return { values, steps };
}
