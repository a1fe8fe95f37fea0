import { softmaxRow } from '../../kernels/softmax.js';
import type { SoftmaxOp } from '../../program/types.js';
import { SOFTMAXES } from './attention.js';
import type { EngineOp } from './definition.js';
import { requantizedByRow } from './rows.js';
import { OUTPUT_WORDS, countOf, outputWords } from './words.js';

export const softmax: EngineOp<SoftmaxOp> = {
  run(op, [x]) {
    const { cols } = op;
    const data = x.data as Int32Array;
    return requantizedByRow(op, new Int32Array(cols), (r, v) =>
      softmaxRow(data.subarray(r * cols, (r + 1) * cols), op, v),
    );
  },
  words: { out: countOf(OUTPUT_WORDS), kind: 1, fractionBits: 1, scoreMultiplier: 1, scoreShift: 1 },
  constants: ['multiplier', 'offset'],
  encode: ({ out, shift, kind, fractionBits, scoreMultiplier, scoreShift, multiplier, offset }) => ({
    words: { out: outputWords(out, shift), kind: SOFTMAXES.indexOf(kind), fractionBits, scoreMultiplier, scoreShift },
    constants: { multiplier, offset },
  }),
};
