/**
 * The plan of a program in C: which rows of every step are computed, in which stages and blocks, and where every value
 * lies. The engine's plan is made for caches and threads, this one for little memory: values that live within a stage
 * have a block of rows, others take the place of one that is not read any more, where rows allow it.
 */
import { lower, workOfProgram } from '../../engine/plan/index.js';
import { formStages } from '../../engine/plan/stages.js';
import type { Run, Stage, Step, Use, Work } from '../../engine/plan/types.js';
import { requestOperands } from '../../engine/plan/uses.js';
import type { ValueSpec } from '../../engine/values.js';
import type { Program } from '../../program/types.js';
import { findInner } from './inner.js';
import { placeValues } from './place.js';
import type { CPlan, CStage, Lowered, Segment } from './types.js';

/** @param tile rows of a block */
export function planForC(program: Program, tile: number): CPlan {
  const work = workOfProgram(program);
  const { values, steps } = lower(work);
  const rows = findRows(work, values, steps);
  const inner = findInner(work, values, steps, rows);
  for (const { step, rows: own } of inner.values()) rows[step] = rows[step] === null ? null : [0, own];
  const uses = rows.map((run, step): Use[] => (run === null ? [] : [{ step, n0: 0, n1: 0, runs: [run] }]));
  const stages = joinQuantize(formStages(values, steps, uses, { rows: tile, cols: 1 }), steps).map((stage) =>
    cutStage(stage, rows),
  );
  const lowered: Lowered = { work, values, steps, stages, tile, inner };
  return { ...lowered, ...placeValues(lowered) };
}

/** By step, the rows from the first that anybody reads to the last; null: nobody does. */
function findRows(work: Work, values: readonly ValueSpec[], steps: readonly Step[]): (Run | null)[] {
  const wanted: (Run | null)[] = values.map(() => null);
  wanted[work.output] = [0, values[work.output].rows];
  const rows: (Run | null)[] = steps.map(() => null);
  for (let i = steps.length - 1; i >= 0; i--) {
    const step = steps[i];
    const run = wanted[step.out];
    if (run === null || step.op?.op === 'constant') continue;
    rows[i] = run;
    requestOperands(step, [run], values, (id, runs) => {
      for (const [first, end] of runs) wanted[id] = hull(wanted[id], [first, end]);
    });
  }
  return rows;
}

const hull = (a: Run | null, b: Run): Run => (a === null ? b : [Math.min(a[0], b[0]), Math.max(a[1], b[1])]);

/** The quantization of an attention's rows follows each of them, so that they need not be kept whole in 32 bits. */
function joinQuantize(stages: readonly Stage[], steps: readonly Step[]): Stage[] {
  return stages.flatMap((stage, i) => {
    const next = (after: Stage | undefined): readonly Use[] =>
      after?.uses.filter(({ step }) => isQuantizeOf(steps[step], stage, steps)) ?? [];
    const isTaken = (use: Use): boolean =>
      i > 0 && stages[i - 1].attention && isQuantizeOf(steps[use.step], stages[i - 1], steps);
    const uses = [...stage.uses.filter((use) => !isTaken(use)), ...(stage.attention ? next(stages[i + 1]) : [])];
    return uses.length === 0 ? [] : [{ ...stage, uses }];
  });
}

const isQuantizeOf = ({ op, operands }: Step, stage: Stage, steps: readonly Step[]): boolean =>
  op === null && stage.uses.some(({ step }) => steps[step].out === operands[0]);

/** A stage's rows, cut where the steps that run change: all steps of a segment compute all of its rows. */
function cutStage({ uses }: Stage, rows: readonly (Run | null)[]): CStage {
  const steps = uses.map(({ step }) => step);
  const edges = [...new Set(steps.flatMap((step) => rows[step]!))].sort((a, b) => a - b);
  const segments: Segment[] = [];
  for (let i = 0; i + 1 < edges.length; i++) {
    const [first, end] = [edges[i], edges[i + 1]];
    const active = steps.filter((step) => rows[step]![0] <= first && rows[step]![1] >= end);
    if (active.length > 0) segments.push({ first, end, steps: active });
  }
  return { steps, segments };
}
