import { paperNormRow } from '../../kernels/paper-rows.js';
import type { PaperNormOp } from '../../program/types.js';
import type { EngineOp } from './definition.js';
import { requantizedByRow } from './rows.js';
import { OUTPUT_WORDS, countOf, outputWords } from './words.js';

export const paperNorm: EngineOp<PaperNormOp> = {
  run(op, [x]) {
    const { cols } = op;
    const data = x.data as Int32Array;
    return requantizedByRow(op, new Array<number>(cols).fill(0), (r, y) =>
      paperNormRow(data.subarray(r * cols, (r + 1) * cols)).forEach((v, n) => (y[n] = Number(v))),
    );
  },
  words: { out: countOf(OUTPUT_WORDS) },
  constants: ['multiplier', 'offset'],
  encode: ({ out, shift, multiplier, offset }) => ({
    words: { out: outputWords(out, shift) },
    constants: { multiplier, offset },
  }),
};
