import type { RescaleOp } from '../../program/types.js';
import type { EngineOp } from './definition.js';
import { requantizedByRow } from './rows.js';
import { outputWords } from './words.js';

export const rescale: EngineOp<RescaleOp> = {
  run(op, [x]) {
    const { cols } = op;
    const data = x.data as Int32Array;
    return requantizedByRow(op, new Int32Array(cols), (r, v) => v.set(data.subarray(r * cols, (r + 1) * cols)));
  },
  encode: (op) => ({ words: outputWords(op.out, op.shift), constants: [op.multiplier, op.offset] }),
};
