import { multiplyViews } from '../../kernels/matmul.js';
import { extentOf } from '../../program/ops/matmul.js';
import type { MatmulOp, MatrixView } from '../../program/types.js';
import { scaleRuns } from '../plan/runs.js';
import type { Run } from '../plan/types.js';
import { planes, type EngineOp } from './definition.js';
import { requantizedByRow } from './rows.js';
import { requestView } from './views.js';
import { OUTPUT_WORDS, VIEW_WORDS, countOf, outputWords, viewWords } from './words.js';

/** Whether its rows are those of its source. */
const isPlain = ({ rows, transposed }: MatrixView): boolean => rows === null && transposed !== true;

export const matmul: EngineOp<MatmulOp> = {
  run: (op, [a, b]) =>
    requantizedByRow(op, new Array<number>(op.cols).fill(0), (r, acc) =>
      multiplyViews(op, a.data as Int16Array, b.data as Int16Array, r, acc),
    ),
  words: {
    out: countOf(OUTPUT_WORDS),
    ...{ heads: 1, m: 1, n: 1, k: 1, aTransposed: 1, bTransposed: 1 },
    ...{ a: countOf(VIEW_WORDS), b: countOf(VIEW_WORDS) },
  },
  constants: ['aRows', 'bRows', 'multiplier', 'offset'],
  encode: ({ out, shift, heads, m, n, k, a, b, multiplier, offset }) => ({
    words: {
      ...{ out: outputWords(out, shift), heads, m, n, k, a: viewWords(a), b: viewWords(b) },
      ...{ aTransposed: a.transposed === true ? 1 : 0, bTransposed: b.transposed === true ? 1 : 0 },
    },
    constants: { aRows: a.rows, bRows: b.rows, multiplier, offset },
  }),
  /** Whole windows, but for the rows of a that lie in rows. */
  request({ op, operands }, runs, values, request) {
    const { heads, m, n, k } = op;
    const windows = scaleRuns(runs, 1, m);
    const requestWindows = (view: MatrixView, id: number, rows: number): void => {
      const { tokens, length } = extentOf(view, rows, k);
      const wanted = windows.map(([first, end]): Run => [first * tokens, end * tokens]);
      requestView(view, id, { tokens: wanted, heads, length }, values, request);
    };
    if (op.a.transposed === true) requestWindows(op.a, operands[0], m);
    else requestView(op.a, operands[0], { tokens: runs, heads, length: k }, values, request);
    requestWindows(op.b, operands[1], n);
  },
  isRowLocal: (op, operands, i) =>
    i === 0 && isPlain(op.a) && operands[0].rows === op.rows && operands[0].cols === op.a.stride,
  quantizesApart: true,
  multiplications: (op, rows) => planes(true) * rows * op.heads * op.n * op.k,
};
