import { activate } from '../../kernels/activation.js';
import type { ActivationOp } from '../../program/types.js';
import type { EngineOp } from './definition.js';
import { requantizedByRow } from './rows.js';
import { outputWords } from './words.js';

export const activation: EngineOp<ActivationOp> = {
  run(op, [x]) {
    const { cols, knots, spacing } = op;
    return requantizedByRow(op, new Int32Array(cols), (r, y) => {
      for (let n = 0; n < cols; n++) y[n] = activate(x.data[r * cols + n], knots, spacing);
    });
  },
  encode: (op) => ({
    words: [...outputWords(op.out, op.shift), op.spacing],
    constants: [op.multiplier, op.offset, op.knots],
  }),
};
