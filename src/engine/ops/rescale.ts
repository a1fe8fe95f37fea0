import type { RescaleOp } from '../../program/types.js';
import type { EngineOp } from './definition.js';
import { requantizedByRow } from './rows.js';
import { OUTPUT_WORDS, countOf, outputWords } from './words.js';

export const rescale: EngineOp<RescaleOp> = {
  run(op, [x]) {
    const { cols } = op;
    const data = x.data as Int32Array;
    return requantizedByRow(op, new Int32Array(cols), (r, v) => v.set(data.subarray(r * cols, (r + 1) * cols)));
  },
  words: { out: countOf(OUTPUT_WORDS) },
  constants: ['multiplier', 'offset'],
  encode: ({ out, shift, multiplier, offset }) => ({
    words: { out: outputWords(out, shift) },
    constants: { multiplier, offset },
  }),
};
