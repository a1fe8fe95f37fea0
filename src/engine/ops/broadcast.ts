/** What products and quotients of two values, the second of which may be broadcast, have in common. */
import { broadcastAt, broadcastOf } from '../../kernels/broadcast.js';
import type { DivideOp, MultiplyOp } from '../../program/types.js';
import { scaleRuns } from '../plan/runs.js';
import type { Value } from '../types.js';
import type { ValueSpec } from '../values.js';
import type { EngineOp, Surroundings } from './definition.js';
import { requantizedByRow } from './rows.js';
import { OUTPUT_WORDS, countOf } from './words.js';

type BinaryOp = MultiplyOp | DivideOp;

/** Words of the output, then of how the second operand lies: see `Broadcast`. */
export const BINARY_WORDS = { out: countOf(OUTPUT_WORDS), group: 1, isColumn: 1 };

export function binaryWords(op: BinaryOp, { plan, index }: Surroundings): { group: number; isColumn: number } {
  const { group, isColumn } = broadcastOf(op, plan.values[plan.steps[index].operands[1]]);
  return { group, isColumn: isColumn ? 1 : 0 };
}

/** Runs it: `combine` gives the integer that is requantized. */
export function runBinary(op: BinaryOp, [a, b]: readonly Value[], combine: (a: number, b: number) => number): Value {
  const { cols } = op;
  const broadcast = broadcastOf(op, b);
  return requantizedByRow(op, new Int32Array(cols), (r, v) => {
    for (let n = 0; n < cols; n++) v[n] = combine(a.data[r * cols + n], b.data[broadcastAt(broadcast, cols, r, n)]);
  });
}

/** Which rows it reads. */
export const binaryReads = {
  request({ op, operands: [a, b] }, runs, values, request) {
    const { group, isColumn } = broadcastOf(op, values[b]);
    request(a, scaleRuns(runs, op.cols, values[a].cols));
    const byRow = group > 1 || isColumn;
    request(b, byRow ? scaleRuns(runs, 1, group) : scaleRuns(runs, op.cols, values[b].cols));
  },
  isRowLocal(op, operands, i) {
    const { rows, cols }: ValueSpec = operands[i];
    return rows === op.rows && (cols === op.cols || (i === 1 && cols === 1));
  },
} satisfies Pick<EngineOp<BinaryOp>, 'request' | 'isRowLocal'>;
