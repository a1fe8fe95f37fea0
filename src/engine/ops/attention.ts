import { attendRow } from '../../kernels/attention.js';
import { requantize } from '../../kernels/dyadic.js';
import { outputRange } from '../../program/limits.js';
import type { AttentionOp } from '../../program/types.js';
import { scaleRuns } from '../plan/runs.js';
import type { Run } from '../plan/types.js';
import { planes, type EngineOp } from './definition.js';
import { byRow } from './rows.js';
import { requestView } from './views.js';
import { OUTPUT_WORDS, VIEW_WORDS, countOf, outputWords, viewWords } from './words.js';

/** The values of `ivit_softmax`. */
export const SOFTMAXES = ['shift', 'quadratic', 'paper', 'ibert', 'float'] as const;

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
  words: {
    out: countOf(OUTPUT_WORDS),
    ...{ batch: 1, heads: 1, queries: 1, keys: 1, dim: 1, valueDim: 1 },
    ...{ softmax: 1, fractionBits: 1, scoreShift: 1, biasBatch: 1, biasHeads: 1, x0: 1, softmaxBits: 1 },
    ...{ q: countOf(VIEW_WORDS), k: countOf(VIEW_WORDS), v: countOf(VIEW_WORDS) },
  },
  constants: ['qRows', 'kRows', 'vRows', 'scoreMultiplier', 'bias', 'multiplier'],
  encode(op) {
    const { batch, heads, queries, keys, dim, valueDim, softmax, fractionBits, scoreShift, biasBatch, biasHeads } = op;
    const published = typeof softmax === 'string' ? null : softmax;
    return {
      words: {
        out: outputWords(op.out, op.shift),
        ...{ batch, heads, queries, keys, dim, valueDim, fractionBits, scoreShift, biasBatch, biasHeads },
        softmax: SOFTMAXES.indexOf(typeof softmax === 'string' ? softmax : softmax.kind),
        x0: published?.kind === 'paper' ? published.x0 : 0,
        softmaxBits: published?.bits ?? op.softmaxBits,
        ...{ q: viewWords(op.q), k: viewWords(op.k), v: viewWords(op.v) },
      },
      constants: {
        ...{ qRows: op.q.rows, kRows: op.k.rows, vRows: op.v.rows },
        ...{ scoreMultiplier: op.scoreMultiplier, bias: op.bias, multiplier: op.multiplier },
      },
    };
  },
  request({ op, operands }, runs, values, request) {
    // Whole windows, as seen in queries and in keys.
    const windows = scaleRuns(runs, 1, op.queries);
    const keys = windows.map(([first, end]): Run => [first * op.keys, end * op.keys]);
    const { heads, dim } = op;
    requestView(op.q, operands[0], { tokens: runs, heads, length: dim }, values, request);
    requestView(op.k, operands[1], { tokens: keys, heads, length: dim }, values, request);
    requestView(op.v, operands[2], { tokens: keys, heads, length: op.valueDim }, values, request);
  },
  isRowLocal: () => false,
  quantizesApart: true,
  multiplications: (op, rows) => rows * op.heads * op.keys * (op.dim + planes(op.softmaxBits > 8) * op.valueDim),
};
