import { rotateRow } from '../../kernels/rotate.js';
import type { RotateOp } from '../../program/types.js';
import { closeGaps } from '../plan/runs.js';
import type { Run } from '../plan/types.js';
import type { EngineOp } from './definition.js';
import { requantizedByRow } from './rows.js';
import { OUTPUT_WORDS, countOf, outputWords } from './words.js';

export const rotate: EngineOp<RotateOp> = {
  run(op, [x, cos, sin]) {
    const { column, cols, partner } = op;
    const row = ({ data, cols: length }: typeof x, r: number, from = 0, count = length): Int16Array =>
      (data as Int16Array).subarray(r * length + from, r * length + from + count);
    return requantizedByRow(op, new Int32Array(cols), (r, v) => {
      const t = r % cos.rows;
      rotateRow({ x: row(x, r, column, cols), cos: row(cos, t), sin: row(sin, t) }, partner, v);
    });
  },
  words: { out: countOf(OUTPUT_WORDS), column: 1, stride: 1, period: 1, tableRows: 1 },
  constants: ['partner', 'multiplier', 'offset'],
  encode({ out, shift, column, partner, multiplier, offset }, { plan, index }) {
    const [x, cos] = plan.steps[index].operands.map((id) => plan.values[id]);
    return {
      words: { out: outputWords(out, shift), column, stride: x.cols, period: cos.cols, tableRows: cos.rows },
      constants: { partner, multiplier, offset },
    };
  },
  request({ op: { column, cols }, operands: [x, cos, sin] }, runs, values, request) {
    request(x, runs, [column, column + cols]);
    const rows = wrapRuns(runs, values[cos].rows);
    request(cos, rows);
    request(sin, rows);
  },
  isRowLocal: (op, operands, i) => operands[i].rows === op.rows,
};

/** The rows r mod `rows` for all r of some runs. */
function wrapRuns(runs: readonly Run[], rows: number): readonly Run[] {
  const wrapped = runs.flatMap(([first, end]): Run[] => {
    const start = first % rows;
    const stop = start + end - first;
    if (stop <= rows) return [[start, stop]];
    return stop - rows >= start
      ? [[0, rows]]
      : [
          [0, stop - rows],
          [start, rows],
        ];
  });
  return closeGaps(wrapped, 1);
}
