import { multiplyViews } from '../../kernels/matmul.js';
import type { MatmulOp } from '../../program/types.js';
import { scaleRuns } from '../plan/runs.js';
import type { Run } from '../plan/types.js';
import { planes, type EngineOp } from './definition.js';
import { requantizedByRow } from './rows.js';
import { requestView } from './views.js';
import { OUTPUT_WORDS, VIEW_WORDS, countOf, outputWords, viewWords } from './words.js';

export const matmul: EngineOp<MatmulOp> = {
  run: (op, [a, b]) =>
    requantizedByRow(op, new Array<number>(op.cols).fill(0), (r, acc) =>
      multiplyViews(op, a.data as Int16Array, b.data as Int16Array, r, acc),
    ),
  words: {
    out: countOf(OUTPUT_WORDS),
    ...{ heads: 1, m: 1, n: 1, k: 1 },
    ...{ a: countOf(VIEW_WORDS), b: countOf(VIEW_WORDS) },
  },
  constants: ['aRows', 'bRows', 'multiplier', 'offset'],
  encode: ({ out, shift, heads, m, n, k, a, b, multiplier, offset }) => ({
    words: { out: outputWords(out, shift), heads, m, n, k, a: viewWords(a), b: viewWords(b) },
    constants: { aRows: a.rows, bRows: b.rows, multiplier, offset },
  }),
  /** Of b, whole windows. */
  request({ op, operands }, runs, values, request) {
    const windows = scaleRuns(runs, 1, op.m);
    const tokens = windows.map(([first, end]): Run => [first * op.n, end * op.n]);
    requestView(op.a, operands[0], { tokens: runs, heads: op.heads, length: op.k }, values, request);
    requestView(op.b, operands[1], { tokens, heads: op.heads, length: op.k }, values, request);
  },
  isRowLocal: (op, operands, i) =>
    i === 0 && op.a.rows === null && operands[0].rows === op.rows && operands[0].cols === op.a.stride,
  quantizesApart: true,
  multiplications: (op, rows) => planes(true) * rows * op.heads * op.n * op.k,
};
