import { shiftGeluRow } from '../../kernels/paper-rows.js';
import type { PaperGeluOp } from '../../program/types.js';
import type { EngineOp } from './definition.js';
import { requantizedByRow } from './rows.js';
import { OUTPUT_WORDS, countOf, outputWords } from './words.js';

export const paperGelu: EngineOp<PaperGeluOp> = {
  run(op, [x]) {
    const { cols, x0 } = op;
    return requantizedByRow(op, new Array<number>(cols).fill(0), (r, y) =>
      shiftGeluRow(x.data.subarray(r * cols, (r + 1) * cols), BigInt(x0)).forEach((v, n) => (y[n] = Number(v))),
    );
  },
  words: { out: countOf(OUTPUT_WORDS), x0: 1 },
  constants: ['multiplier', 'offset'],
  encode: ({ out, shift, x0, multiplier, offset }) => ({
    words: { out: outputWords(out, shift), x0 },
    constants: { multiplier, offset },
  }),
};
