import type { Op } from '../program/types.js';
import { floorDivide } from '../kernels/dyadic.js';
import type { Plan, Run } from './plan.js';

/** What one step cost in one run. */
export interface StepProfile {
  readonly name: string;
  readonly kind: Op['op'] | 'quantize';
  /** Multiply-adds really executed: rows and columns nobody reads do not count, nor does padding. */
  readonly multiplications: number;
  /** Of each thread. */
  readonly nanoseconds: readonly bigint[];
}

/** Runs a program and tells the time of every step. */
export interface Profiler {
  readonly isa: string;
  run(pixels: Uint8Array): StepProfile[];
  close(): void;
}

/**
 * @param times nanoseconds, [threads][steps]
 * @param counts multiply-adds of each step
 */
export function describeTimes(plan: Plan, times: BigInt64Array, counts = countMultiplications(plan)): StepProfile[] {
  const steps = plan.steps.length;
  return plan.steps.map(({ op, out }, i) => ({
    name: op?.name ?? `quantize ${out}`,
    kind: op?.op ?? 'quantize',
    multiplications: counts[i],
    nanoseconds: Array.from({ length: floorDivide(times.length, steps) }, (_, t) => times[t * steps + i]),
  }));
}

/**
 * Multiply-adds of each step of a plan in its matrix products, as far as anybody reads their results: what a share of
 * the machine's peak counts.
 */
export function countMultiplications(plan: Plan): number[] {
  const counts = plan.steps.map(() => 0);
  for (const stage of plan.stages) {
    for (const { step, n0, n1, runs } of stage.uses) {
      const { op, operands } = plan.steps[step];
      // Inputs of 16 bits and softmax weights of 12 are multiplied as two planes of bytes, where the machine multiplies bytes.
      const planes = (wide: boolean): number => (wide ? 2 : 1);
      if (op?.op === 'linear') {
        counts[step] +=
          planes(plan.values[operands[0]].out.type === 'i16') * countRows(runs) * (n1 - n0) * op.inFeatures;
      }
      if (op?.op === 'attention')
        counts[step] += countRows(runs) * op.heads * op.keys * (op.dim + planes(op.softmaxBits > 8) * op.valueDim);
    }
  }
  return counts;
}

function countRows(runs: readonly Run[]): number {
  return runs.reduce((rows, [first, end]) => rows + end - first, 0);
}
