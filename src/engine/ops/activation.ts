import { activate } from '../../kernels/activation.js';
import type { ActivationOp } from '../../program/types.js';
import type { EngineOp } from './definition.js';
import { requantizedByRow } from './rows.js';
import { OUTPUT_WORDS, countOf, outputWords } from './words.js';

export const activation: EngineOp<ActivationOp> = {
  run(op, [x]) {
    const { cols, knots, spacing } = op;
    return requantizedByRow(op, new Int32Array(cols), (r, y) => {
      for (let n = 0; n < cols; n++) y[n] = activate(x.data[r * cols + n], knots, spacing);
    });
  },
  words: { out: countOf(OUTPUT_WORDS), spacing: 1 },
  constants: ['multiplier', 'offset', 'knots'],
  encode: ({ out, shift, spacing, multiplier, offset, knots }) => ({
    words: { out: outputWords(out, shift), spacing },
    constants: { multiplier, offset, knots },
  }),
};
