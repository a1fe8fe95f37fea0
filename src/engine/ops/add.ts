import { addWide } from '../../kernels/linear.js';
import type { AddOp } from '../../program/types.js';
import type { EngineOp } from './definition.js';
import { byRow } from './rows.js';

export const add: EngineOp<AddOp> = {
  run: (op, [a, b]) =>
    byRow(op, (r, row) => {
      for (let n = 0, i = r * op.cols; n < op.cols; n++, i++) row[n] = addWide(a.data[i], b.data[i]);
    }),
  words: {},
  constants: [],
  encode: () => ({ words: {}, constants: {} }),
};
