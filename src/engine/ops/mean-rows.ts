import type { MeanRowsOp } from '../../program/types.js';
import { scaleRuns } from '../plan/runs.js';
import type { EngineOp } from './definition.js';
import { requantizedByRow } from './rows.js';
import { OUTPUT_WORDS, countOf, outputWords } from './words.js';

export const meanRows: EngineOp<MeanRowsOp> = {
  run(op, [x]) {
    const { cols, group } = op;
    return requantizedByRow(op, new Array<number>(cols).fill(0), (r, sum) => {
      sum.fill(0);
      for (let i = r * group; i < (r + 1) * group; i++) for (let n = 0; n < cols; n++) sum[n] += x.data[i * cols + n];
    });
  },
  words: { out: countOf(OUTPUT_WORDS), group: 1 },
  constants: ['multiplier'],
  encode: ({ out, shift, group, multiplier }) => ({
    words: { out: outputWords(out, shift), group },
    constants: { multiplier },
  }),
  request({ op, operands }, runs, values, request) {
    request(operands[0], scaleRuns(runs, op.group * op.cols, values[operands[0]].cols));
  },
  isRowLocal: () => false,
};
