import type { Plan, Run } from './plan.js';

/**
 * Multiply-adds of each step of a plan in its matrix products, as far as anybody reads their results: what a share of
 * the machine's peak counts.
 */
export function countMultiplications(plan: Plan): number[] {
  const counts = plan.steps.map(() => 0);
  for (const stage of plan.stages) {
    for (const { step, n0, n1, runs } of stage.uses) {
      const { op } = plan.steps[step];
      if (op?.op === 'linear') counts[step] += countRows(runs) * (n1 - n0) * op.inFeatures;
      if (op?.op === 'attention') counts[step] += countRows(runs) * op.heads * op.keys * (op.dim + op.valueDim);
    }
  }
  return counts;
}

function countRows(runs: readonly Run[]): number {
  return runs.reduce((rows, [first, end]) => rows + end - first, 0);
}
