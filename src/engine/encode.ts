/** A plan in the words that native/program reads. */
import { OP_KINDS } from '../program/ops/index.js';
import { engineOpOf } from './ops/index.js';
import { REST, type Constant, type Surroundings } from './ops/definition.js';
import { halves, typeWord } from './ops/words.js';
import type { Plan, Run, Work } from './plan/types.js';

export type { Constant } from './ops/definition.js';

/** A step: words, and constants in the order that it takes them. */
export interface EncodedStep {
  readonly words: Int32Array;
  readonly constants: readonly (Constant | null)[];
}

/** The values of `IVIT_STEP_…`. */
export const STEP_KINDS = [...OP_KINDS, 'quantize'] as const;
/** Words of a program's header. */
export const HEADER_WORDS = { values: 1, steps: 1, stages: 1, maxBytes: 2 };
/** Words of a step, before its op's own. */
export const STEP_WORDS = { kind: 1, out: 1, in: 3, rows: 1, cols: 1 };
/** Words of the layout, before its values and stages: sizes in bytes, 64 bits each. */
export const LAYOUT_WORDS = { arenaBytes: 2, localBytes: 2 };
/** Words of a value in the layout; offsets have 64 bits. */
export const VALUE_WORDS = { place: 1, offset: 2, scaleOffset: 2, type: 1, rows: 1, cols: 1 };
/** The values of `IVIT_PLACE_…`. */
export const PLACES = ['arena', 'local', 'constant'] as const;

/**
 * The header of a program: how many values, steps and stages follow, and the most bytes that it, and each context of
 * it, may allocate.
 */
export function encodeHeader(plan: Plan, maxBytes: number): Int32Array {
  return Int32Array.of(
    plan.values.length,
    plan.steps.length,
    plan.stages.length,
    ...wide(Math.min(maxBytes, Number.MAX_SAFE_INTEGER)),
  );
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
  const words = [STEP_KINDS.indexOf(op?.op ?? 'quantize'), out, a, b, c, rows, cols];
  if (op === null) return { words: new Int32Array(words), constants: [] };
  const handling = engineOpOf(op);
  const encoded = handling.encode(op, surroundings);
  for (const [name, count] of Object.entries(handling.words)) {
    const value = encoded.words[name];
    const own = typeof value === 'number' ? [value] : value;
    if (count !== REST && own.length !== count) throw new Error(`${op.op}: ${name} takes ${count} words`);
    for (const word of own) words.push(word);
  }
  return { words: new Int32Array(words), constants: handling.constants.map((name) => encoded.constants[name]) };
}

/** By index of an op, the step that computes it. */
function stepsOfOps({ steps }: Plan): number[] {
  return steps.flatMap(({ op }, i) => (op === null ? [] : [i]));
}

/** Memory, values and stages, after all steps. */
export function encodeLayout(plan: Plan): Int32Array {
  const words = [...wide(plan.arenaBytes), ...wide(plan.localBytes)];
  plan.values.forEach(({ out, rows, cols }, i) => {
    const { place, offset, scaleOffset } = plan.places[i];
    words.push(PLACES.indexOf(place), ...wide(offset), ...wide(scaleOffset), typeWord(out), rows, cols);
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

/** A size in bytes as two words. */
const wide = (bytes: number): [number, number] => halves(BigInt(bytes));
