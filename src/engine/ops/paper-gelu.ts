import { shiftGeluRow } from '../../kernels/paper-rows.js';
import type { PaperGeluOp } from '../../program/types.js';
import type { EngineOp } from './definition.js';
import { requantizedByRow } from './rows.js';
import { outputWords } from './words.js';

export const paperGelu: EngineOp<PaperGeluOp> = {
  run(op, [x]) {
    const { cols, x0 } = op;
    return requantizedByRow(op, new Array<number>(cols).fill(0), (r, y) =>
      shiftGeluRow(x.data.subarray(r * cols, (r + 1) * cols), BigInt(x0)).forEach((v, n) => (y[n] = Number(v))),
    );
  },
  encode: (op) => ({ words: [...outputWords(op.out, op.shift), op.x0], constants: [op.multiplier, op.offset] }),
};
