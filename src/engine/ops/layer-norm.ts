import { normalizeRow } from '../../kernels/layer-norm.js';
import type { LayerNormOp } from '../../program/types.js';
import type { EngineOp } from './definition.js';
import { requantizedByRow } from './rows.js';
import { OUTPUT_WORDS, countOf, halves, outputWords } from './words.js';

export const layerNorm: EngineOp<LayerNormOp> = {
  run(op, [x]) {
    const { cols, center, epsilon } = op;
    const data = x.data as Int32Array;
    return requantizedByRow(op, new Int32Array(cols), (r, normalized) =>
      normalizeRow(data.subarray(r * cols, (r + 1) * cols), center, epsilon, normalized),
    );
  },
  words: { out: countOf(OUTPUT_WORDS), center: 1, epsilon: 2 },
  constants: ['multiplier', 'offset'],
  encode: ({ out, shift, center, epsilon, multiplier, offset }) => ({
    words: { out: outputWords(out, shift), center: center ? 1 : 0, epsilon: halves(epsilon) },
    constants: { multiplier, offset },
  }),
};
