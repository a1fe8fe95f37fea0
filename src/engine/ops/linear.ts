import { requantize } from '../../kernels/dyadic.js';
import { accumulateRow, addWide } from '../../kernels/linear.js';
import { outputRange } from '../../program/limits.js';
import type { LinearOp } from '../../program/types.js';
import { zeroPoint } from '../../program/value.js';
import { planes, type EngineOp } from './definition.js';
import { byRow } from './rows.js';
import { OUTPUT_WORDS, countOf, outputWords, typeWord } from './words.js';

export const linear: EngineOp<LinearOp> = {
  run(op, [x, residual]) {
    const { lo, hi } = outputRange(op.out);
    const acc = new Array<number>(op.cols).fill(0);
    const input = { data: x.data as Uint8Array | Int16Array, zero: zeroPoint(x.out), rowScale: x.rowScale };
    return byRow(op, (r, row) => {
      accumulateRow(op, input, r, acc);
      for (let n = 0; n < op.cols; n++) row[n] = requantize(acc[n], { b: op.multiplier[n], c: op.shift }, 0n, lo, hi);
      if (residual === undefined) return;
      for (let n = 0, i = r * op.cols; n < op.cols; n++, i++) row[n] = addWide(row[n], residual.data[i]);
    });
  },
  words: { out: countOf(OUTPUT_WORDS), inFeatures: 1, xType: 1, xZero: 1, rowShift: 1, weightsOf: 1 },
  constants: ['weight', 'bias', 'multiplier'],
  encode(op, { plan, stepOf, index }) {
    const x = plan.values[plan.steps[index].operands[0]].out;
    // Packed weights of 16-bit inputs serve every layer that they are tied to (`ivit_linear.weights_of`).
    const tied = x.type === 'i16' ? stepOf[op.weightsOf ?? -1] : undefined;
    // An op that runs alone has no layer before it.
    const owner = tied !== undefined && tied < index ? tied : -1;
    return {
      words: {
        out: outputWords(op.out, op.shift),
        inFeatures: op.inFeatures,
        xType: typeWord(x),
        xZero: zeroPoint(x),
        rowShift: op.rowShift,
        weightsOf: owner,
      },
      constants: { weight: owner < 0 ? op.weight : null, bias: op.bias, multiplier: op.multiplier },
    };
  },
  readLength: (op, i) => (i === 0 ? op.inFeatures : op.cols),
  cutsColumns: true,
  quantizesApart: true,
  multiplications: (op, rows, cols, x) => planes(x.type === 'i16') * rows * cols * op.inFeatures,
};
