import { normalizeGroups } from '../../kernels/group-norm.js';
import type { GroupNormOp } from '../../program/types.js';
import type { EngineOp } from './definition.js';
import { requantizedByRow } from './rows.js';
import { OUTPUT_WORDS, countOf, halves, outputWords } from './words.js';

export const groupNorm: EngineOp<GroupNormOp> = {
  run(op, [x]) {
    const { cols, groups, epsilon } = op;
    const normalized = new Int32Array(x.data.length);
    normalizeGroups(x.data as Int16Array, cols, groups, epsilon, normalized);
    return requantizedByRow(op, new Int32Array(cols), (r, v) => v.set(normalized.subarray(r * cols, (r + 1) * cols)));
  },
  words: { out: countOf(OUTPUT_WORDS), groups: 1, epsilon: 2 },
  constants: ['multiplier', 'offset'],
  encode: ({ out, shift, groups, epsilon, multiplier, offset }) => ({
    words: { out: outputWords(out, shift), groups, epsilon: halves(epsilon) },
    constants: { multiplier, offset },
  }),
  request({ operands }, _runs, values, request) {
    request(operands[0], [[0, values[operands[0]].rows]]);
  },
  isRowLocal: () => false,
};
