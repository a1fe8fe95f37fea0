import * as v from 'valibot';
import { MAX_ELEMENTS, MAX_INNER, outputRange } from '../limits.js';
import { requantized } from '../proof.js';
import type { OpBase } from '../value.js';
import { integer, multiplierOf, offsetOf, padded, type OpDefinition } from './definition.js';
import { rowsOf, validateView, viewSchema, type OperandView } from './view.js';

/**
 * A matrix of each window and head: row i is token i, element k its channel k. `transposed`: element k of row i is
 * channel i of token k, which spares a transposing `gather`.
 */
export interface MatrixView extends OperandView {
  readonly transposed?: true;
}

/**
 * Products of two i16 values, of `batch` windows × `heads` heads:
 *
 *     y[w·m + i, h·n + j] = Σ_k a[w, h, i, k]·b[w, h, j, k]
 *
 * where a[w, h, i, k] is element k of row i of view a in window w and head h. Exact; then requantized per channel.
 * Writes [batch·m, heads·n].
 */
export interface MatmulOp extends OpBase {
  readonly op: 'matmul';
  readonly a: MatrixView;
  readonly b: MatrixView;
  readonly batch: number;
  readonly heads: number;
  readonly m: number;
  readonly n: number;
  /** Length of the sums: 1 to 2^22. */
  readonly k: number;
  /** [cols]. */
  readonly multiplier: Int32Array;
  /** [cols]. */
  readonly offset: BigInt64Array;
  readonly shift: number;
}

const PRODUCT = BigInt(outputRange({ type: 'i16' }).hi) ** 2n;

const matrix = v.strictObject({ ...viewSchema.entries, transposed: v.optional(v.literal(true)) });

/** How many tokens of each window a matrix of `rows` rows takes, and how many channels of each. */
export function extentOf({ transposed }: MatrixView, rows: number, k: number): { tokens: number; length: number } {
  return transposed === true ? { tokens: k, length: rows } : { tokens: rows, length: k };
}

export const matmul: OpDefinition<MatmulOp> = {
  fields: {
    a: matrix,
    b: matrix,
    batch: integer,
    heads: integer,
    m: integer,
    n: integer,
    k: integer,
    shift: integer,
  },
  tensors: (op) => [
    rowsOf('a', op.batch, extentOf(op.a, op.m, op.k).tokens),
    rowsOf('b', op.batch, extentOf(op.b, op.n, op.k).tokens),
    multiplierOf(op),
    offsetOf(op),
  ],
  operands: (op) => [op.a.x, op.b.x],
  validate(op, check, { values }) {
    const { batch, heads, m, n, k } = op;
    for (const field of ['batch', 'heads', 'm', 'n'] as const) check.count(field, op[field], 1, MAX_ELEMENTS);
    check.count('k', k, 1, MAX_INNER);
    check.that(op.rows === batch * m, `${batch} windows of ${m} rows are not ${op.rows} rows`);
    check.that(op.cols === heads * n, `${heads} heads of ${n} columns are not ${op.cols} columns`);
    for (const [what, rows] of [
      ['a', m],
      ['b', n],
    ] as const) {
      const { tokens, length } = extentOf(op[what], rows, k);
      const reads = { type: 'i16', tokens: batch * tokens, heads, length } as const;
      validateView(check, what, op[what], values[op[what].x], reads);
    }
    check.multipliers(op);
  },
  bound: (op) => requantized(op, BigInt(op.k) * PRODUCT),
  // Requantization is packed head by head. A thread has a panel of b, tiles of sums, norms of every row of a (one for
  // each 512 elements), and the rows themselves where a is transposed.
  memory({ heads, m, n, k, a }) {
    const norms = 4 * m * ((padded(k) >> 9) + 1);
    const rows = a.transposed === true ? 2 * m * padded(k) : 0;
    return {
      constants: heads * (32 * padded(n) + 512),
      shared: 0,
      thread: (1 << 17) + 4 * padded(k) + norms + rows,
    };
  },
  macs: (op) => op.batch * op.heads * op.m * op.n * op.k,
};
