/** A plan in the words that native/program reads. */
import { OP_KINDS } from '../program/ops/index.js';
import { engineOpOf } from './ops/index.js';
import type { Constant, Surroundings } from './ops/definition.js';
import { typeWord } from './ops/words.js';
import type { Plan, Run, Work } from './plan/types.js';

export type { Constant } from './ops/definition.js';

/** A step: words, and constants in the order that it takes them. */
export interface EncodedStep {
  readonly words: Int32Array;
  readonly constants: readonly (Constant | null)[];
}

/** The values of `IVIT_STEP_…`. */
export const STEP_KINDS = [...OP_KINDS, 'quantize'] as const;
/** The values of `IVIT_PLACE_…`. */
export const PLACES = ['arena', 'local', 'constant'] as const;

/** The header of a program: how many values, steps and stages follow. */
export function encodeHeader(plan: Plan): Int32Array {
  return Int32Array.of(plan.values.length, plan.steps.length, plan.stages.length);
}

/** All steps of a plan, in order. */
export function encodeSteps(plan: Plan, work: Work): EncodedStep[] {
  const stepOf = stepsOfOps(plan);
  return plan.steps.map((_, index) => encodeStep({ plan, work, stepOf, index }));
}

function encodeStep(surroundings: Surroundings): EncodedStep {
  const { plan, index } = surroundings;
  const { op, out, operands } = plan.steps[index];
  const { rows, cols } = plan.values[out];
  const [a = -1, b = -1, c = -1] = operands;
  const { words, constants } = op === null ? { words: [], constants: [] } : engineOpOf(op).encode(op, surroundings);
  return {
    words: new Int32Array([STEP_KINDS.indexOf(op?.op ?? 'quantize'), out, a, b, c, rows, cols, ...words]),
    constants,
  };
}

/** By index of an op, the step that computes it. */
function stepsOfOps({ steps }: Plan): number[] {
  return steps.flatMap(({ op }, i) => (op === null ? [] : [i]));
}

/** Memory, values and stages, after all steps. */
export function encodeLayout(plan: Plan): Int32Array {
  const words = [plan.arenaBytes, plan.localBytes];
  plan.values.forEach(({ out, rows, cols }, i) => {
    const { place, offset, scaleOffset } = plan.places[i];
    words.push(PLACES.indexOf(place), offset, scaleOffset, typeWord(out), rows, cols);
  });
  for (const { attention, blockRows, runs, uses } of plan.stages) {
    words.push(attention ? 1 : 0, blockRows);
    pushRuns(words, runs);
    words.push(uses.length);
    for (const { step, n0, n1, runs: useRuns } of uses) {
      words.push(step, n0, n1);
      pushRuns(words, useRuns);
    }
  }
  return new Int32Array(words);
}

function pushRuns(words: number[], runs: readonly Run[]): void {
  words.push(runs.length);
  for (const [first, end] of runs) words.push(first, end);
}
