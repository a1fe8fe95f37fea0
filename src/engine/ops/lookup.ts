import { lookUp } from '../../kernels/lookup.js';
import type { LookupOp } from '../../program/types.js';
import type { EngineOp } from './definition.js';
import { requantizedByRow } from './rows.js';
import { OUTPUT_WORDS, countOf, outputWords } from './words.js';

export const lookup: EngineOp<LookupOp> = {
  run(op, [x]) {
    const { cols, table } = op;
    return requantizedByRow(op, new Int32Array(cols), (r, v) => {
      for (let n = 0; n < cols; n++) v[n] = lookUp(x.data[r * cols + n], table);
    });
  },
  words: { out: countOf(OUTPUT_WORDS) },
  constants: ['multiplier', 'offset', 'table'],
  encode: ({ out, shift, multiplier, offset, table }) => ({
    words: { out: outputWords(out, shift) },
    constants: { multiplier, offset, table },
  }),
};
