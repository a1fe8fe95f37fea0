import type { Op } from '../program/types.js';
import { floorDivide } from '../kernels/dyadic.js';
import { engineOpOf } from './ops/index.js';
import type { Plan } from './plan/index.js';
import { countRows } from './plan/runs.js';

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
      if (op === null) continue;
      const x = plan.values[operands[0]]?.out ?? op.out;
      counts[step] += engineOpOf(op).multiplications?.(op, countRows(runs), n1 - n0, x) ?? 0;
    }
  }
  return counts;
}
