import { attendRow } from '../../kernels/attention.js';
import { requantize } from '../../kernels/dyadic.js';
import { outputRange } from '../../program/limits.js';
import type { AttentionOp, OperandView } from '../../program/types.js';
import { pickRows, scaleRuns } from '../plan/runs.js';
import type { Run } from '../plan/types.js';
import { planes, type EngineOp } from './definition.js';
import { byRow } from './rows.js';
import { outputWords, viewWords } from './words.js';

/** The values of `ivit_softmax`. */
export const SOFTMAXES = ['shift', 'quadratic', 'paper'] as const;

export const attention: EngineOp<AttentionOp> = {
  run(op, [q, k, v]) {
    const { lo, hi } = outputRange(op.out);
    const weighted = new Int32Array(op.valueDim);
    const operands = { q: q.data as Int8Array, k: k.data as Int8Array, v: v.data as Int8Array };
    return byRow(op, (r, row) => {
      for (let h = 0; h < op.heads; h++) {
        attendRow(op, operands, r, h, weighted);
        for (let j = 0, n = h * op.valueDim; j < op.valueDim; j++, n++) {
          row[n] = requantize(weighted[j], { b: op.multiplier[n], c: op.shift }, 0n, lo, hi);
        }
      }
    });
  },
  encode(op) {
    const { softmax } = op;
    const isPaper = typeof softmax !== 'string';
    return {
      words: [
        ...outputWords(op.out, op.shift),
        op.batch,
        op.heads,
        op.queries,
        op.keys,
        op.dim,
        op.valueDim,
        SOFTMAXES.indexOf(isPaper ? softmax.kind : softmax),
        op.fractionBits,
        op.scoreShift,
        op.biasBatch,
        op.biasHeads,
        ...(isPaper ? [softmax.x0, softmax.bits] : [0, op.softmaxBits]),
        ...[op.q, op.k, op.v].flatMap(viewWords),
      ],
      constants: [op.q.rows, op.k.rows, op.v.rows, op.scoreMultiplier, op.bias, op.multiplier],
    };
  },
  request({ op, operands }, runs, values, request) {
    // Whole windows, as seen in queries and in keys.
    const windows = scaleRuns(runs, 1, op.queries);
    const keys = windows.map(([first, end]): Run => [first * op.keys, end * op.keys]);
    const requestView = (view: OperandView, id: number, tokens: readonly Run[], dim: number): void => {
      const { cols } = values[id];
      const columns: Run = [view.offset, view.offset + (op.heads - 1) * view.headStride + dim];
      const rows = view.rows === null ? tokens : pickRows(view.rows, tokens);
      if (view.stride === cols) return request(id, rows, columns);
      request(id, scaleRuns(rows, view.stride, cols));
    };
    requestView(op.q, operands[0], runs, op.dim);
    requestView(op.k, operands[1], keys, op.dim);
    requestView(op.v, operands[2], keys, op.valueDim);
  },
  isRowLocal: () => false,
  quantizesApart: true,
  multiplications: (op, rows) => rows * op.heads * op.keys * (op.dim + planes(op.softmaxBits > 8) * op.valueDim),
};
