import { mixRow } from '../../kernels/mix-rows.js';
import type { MixRowsOp } from '../../program/types.js';
import { closeGaps, scaleRuns, sortedAt } from '../plan/runs.js';
import type { Run } from '../plan/types.js';
import type { EngineOp } from './definition.js';
import { requantizedByRow } from './rows.js';
import { OUTPUT_WORDS, countOf, outputWords } from './words.js';

export const mixRows: EngineOp<MixRowsOp> = {
  run(op, [x]) {
    return requantizedByRow(op, new Array<number>(op.cols).fill(0), (r, v) => mixRow(op, x.data as Int32Array, r, v));
  },
  words: { out: countOf(OUTPUT_WORDS), taps: 1 },
  constants: ['multiplier', 'offset', 'index', 'weight'],
  encode: ({ out, shift, taps, multiplier, offset, index, weight }) => ({
    words: { out: outputWords(out, shift), taps },
    constants: { multiplier, offset, index, weight },
  }),
  request({ op, operands }, runs, values, request) {
    const read = sortedAt(op.index, scaleRuns(runs, op.taps, 1));
    const rows = Array.from(read.subarray(countNone(read)), (row): Run => [row, row + 1]);
    if (rows.length > 0) request(operands[0], scaleRuns(closeGaps(rows, 1), op.cols, values[operands[0]].cols));
  },
  isRowLocal: () => false,
};

/** How many entries of a sorted index are −1. */
function countNone(sorted: Int32Array): number {
  const first = sorted.findIndex((row) => row >= 0);
  return first < 0 ? sorted.length : first;
}
