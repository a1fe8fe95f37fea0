import { geluInteger } from '../../kernels/ibert.js';
import type { IbertGeluOp } from '../../program/types.js';
import type { EngineOp } from './definition.js';
import { requantizedByRow } from './rows.js';
import { OUTPUT_WORDS, countOf, outputWords } from './words.js';

export const ibertGelu: EngineOp<IbertGeluOp> = {
  run(op, [x]) {
    const { cols, fractionBits } = op;
    return requantizedByRow(op, new Int32Array(cols), (r, v) => {
      for (let n = 0; n < cols; n++) v[n] = geluInteger(x.data[r * cols + n], fractionBits);
    });
  },
  words: { out: countOf(OUTPUT_WORDS), fractionBits: 1 },
  constants: ['multiplier', 'offset'],
  encode: ({ out, shift, fractionBits, multiplier, offset }) => ({
    words: { out: outputWords(out, shift), fractionBits },
    constants: { multiplier, offset },
  }),
};
