import { MAX_ELEMENTS, MAX_INNER, outputRange } from '../limits.js';
import { requantized } from '../proof.js';
import type { OpBase } from '../value.js';
import { integer, multiplierOf, offsetOf, type OpDefinition } from './definition.js';
import { rowsOf, validateView, viewSchema, type OperandView } from './view.js';

/**
 * Products of two i16 values, of `batch` windows × `heads` heads:
 *
 *     y[w·m + i, h·n + j] = Σ_k a[w, h, i, k]·b[w, h, j, k]
 *
 * where a[w, h, i, k] is channel k of head h of token w·m + i of view a, and b[w, h, j, k] that of token w·n + j of
 * view b. Exact; then requantized per channel. Writes [batch·m, heads·n].
 */
export interface MatmulOp extends OpBase {
  readonly op: 'matmul';
  readonly a: OperandView;
  readonly b: OperandView;
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

export const matmul: OpDefinition<MatmulOp> = {
  fields: {
    a: viewSchema,
    b: viewSchema,
    batch: integer,
    heads: integer,
    m: integer,
    n: integer,
    k: integer,
    shift: integer,
  },
  tensors: (op) => [rowsOf('a', op.batch, op.m), rowsOf('b', op.batch, op.n), multiplierOf(op), offsetOf(op)],
  operands: (op) => [op.a.x, op.b.x],
  validate(op, check, { values }) {
    const { batch, heads, m, n, k } = op;
    for (const field of ['batch', 'heads', 'm', 'n'] as const) check.count(field, op[field], 1, MAX_ELEMENTS);
    check.count('k', k, 1, MAX_INNER);
    check.that(op.rows === batch * m, `${batch} windows of ${m} rows are not ${op.rows} rows`);
    check.that(op.cols === heads * n, `${heads} heads of ${n} columns are not ${op.cols} columns`);
    const reads = { type: 'i16', heads, length: k } as const;
    validateView(check, 'a', op.a, values[op.a.x], { ...reads, tokens: batch * m });
    validateView(check, 'b', op.b, values[op.b.x], { ...reads, tokens: batch * n });
    check.multipliers(op);
  },
  bound: (op) => requantized(op, BigInt(op.k) * PRODUCT),
  macs: (op) => op.batch * op.heads * op.m * op.n * op.k,
};
