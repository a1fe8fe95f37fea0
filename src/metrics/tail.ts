/** What a float model does to its outputs at last, done again on real numbers for display. */
import { logSoftmax, softmax } from './agreement.js';
import type { Comparison, TailStep } from './output.js';
import { topIndices } from './accuracy.js';

/** Real numbers of a shape, row-major. */
export interface Reals {
  readonly shape: readonly number[];
  readonly values: Float64Array;
}

/** What the float model gives for the numbers that its last steps read. */
export function applyTail(reals: Reals, tail: readonly TailStep[]): Reals {
  return tail.reduce(applyStep, reals);
}

const holds: Readonly<Record<Comparison, (a: number, b: number) => boolean>> = {
  greater: (a, b) => a > b,
  greaterOrEqual: (a, b) => a >= b,
  less: (a, b) => a < b,
  lessOrEqual: (a, b) => a <= b,
};

function applyStep({ shape, values }: Reals, step: TailStep): Reals {
  switch (step.op) {
    case 'sigmoid':
      return { shape, values: values.map((x) => 1 / (1 + Math.exp(-x))) };
    case 'greater':
    case 'greaterOrEqual':
    case 'less':
    case 'lessOrEqual':
      return { shape, values: values.map((x) => Number(holds[step.op](x, Number(step.than)))) };
    case 'softmax':
      return alongAxis(shape, values, step.axis, (row) => softmax(row, 1));
    case 'logSoftmax':
      return alongAxis(shape, values, step.axis, logSoftmax);
    case 'argMax': {
      const { shape: kept, values: best } = alongAxis(shape, values, step.axis, (row) => topIndices(row, 1));
      return { shape: kept.filter((_, axis) => axis !== step.axis), values: best };
    }
    case 'topValues':
    case 'topIndices': {
      const places = (row: Float64Array): number[] => topIndices(row, step.count ?? row.length);
      const isValues = step.op === 'topValues';
      return alongAxis(shape, values, step.axis, (row) => (isValues ? places(row).map((i) => row[i]) : places(row)));
    }
  }
}

/** Each run along an axis made another, all of one length. */
function alongAxis(
  shape: readonly number[],
  values: Float64Array,
  axis: number,
  make: (row: Float64Array) => ArrayLike<number>,
): Reals {
  const length = shape[axis] ?? 1;
  const inner = shape.slice(axis + 1).reduce((n, dim) => n * dim, 1);
  const outer = values.length / (length * inner);
  let out = new Float64Array(0);
  let made = 0;
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < inner; i++) {
      const row = make(Float64Array.from({ length }, (_, at) => values[(o * length + at) * inner + i]));
      made = row.length;
      if (out.length === 0) out = new Float64Array(outer * made * inner);
      for (let at = 0; at < made; at++) out[(o * made + at) * inner + i] = row[at];
    }
  return { shape: shape.map((dim, at) => (at === axis ? made : dim)), values: out };
}
