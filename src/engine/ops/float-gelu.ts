import { geluFloat } from '../../float-kernels/index.js';
import type { FloatGeluOp } from '../../program/types.js';
import type { EngineOp } from './definition.js';
import { ibertGelu } from './ibert-gelu.js';
import { requantizedByRow } from './rows.js';

/** Its words and constants are those of `ibertGelu`, and read by the same C. */
export const floatGelu: EngineOp<FloatGeluOp> = {
  run(op, [x]) {
    const { cols, fractionBits } = op;
    return requantizedByRow(op, new Int32Array(cols), (r, v) => {
      for (let n = 0; n < cols; n++) v[n] = geluFloat(x.data[r * cols + n], fractionBits);
    });
  },
  words: ibertGelu.words,
  constants: ibertGelu.constants,
  encode: (op, surroundings) => ibertGelu.encode({ ...op, op: 'ibertGelu' }, surroundings),
};
