/** What random programs do with several values: products, quotients, tables, softmax, rotations. */
import { bitLength } from '../../src/kernels/dyadic.js';
import { TABLE_LIMIT } from '../../src/program/limits.js';
import type { MatrixView, Op, Output, ValueId, ValueType } from '../../src/program/types.js';
import { fittingRequantization, type Data } from './random-ops.js';

interface Builder {
  readonly data: Data;
  add(op: Op): ValueId;
  of(id: ValueId): Op;
  all(type: ValueType): ValueId[];
}

type Growth = (b: Builder, x: ValueId) => void;

const WIDE: Output = { type: 'i32' };

function factor(b: Builder, x: ValueId): ValueId {
  const { rows, cols } = b.of(x);
  const out: Output = { type: 'i16' };
  return b.add({ op: 'rescale', name: '', rows, cols, out, x, ...fittingRequantization(b.data, out, 24, 22, cols) });
}

/** A second operand for x: of its shape, of fewer rows, of one column. */
function partner(b: Builder, x: ValueId, type: 'i16' | 'i32'): ValueId {
  const { data } = b;
  const { rows, cols } = b.of(x);
  const group = data.pick([1, 2, 3, rows].filter((g) => rows % g === 0));
  const kind = data.integer(0, 3);
  if (kind === 0) {
    const same = b.all('i32').filter((id) => b.of(id).rows === rows && b.of(id).cols === cols);
    return type === 'i32' ? data.pick(same) : factor(b, data.pick(same));
  }
  const shape = { rows: Math.trunc(rows / group), cols: kind === 1 ? 1 : cols };
  if (kind < 3) {
    const array = type === 'i32' ? new Int32Array(shape.rows * shape.cols) : new Int16Array(shape.rows * shape.cols);
    return b.add({ op: 'constant', name: '', ...shape, out: { type }, data: data.fill(array, -32767, 32767) });
  }
  const { multiplier, shift } = fittingRequantization(data, WIDE, 24 + bitLength(group), 23, cols);
  const pooled = b.add({ op: 'meanRows', name: '', ...shape, out: WIDE, x, group, multiplier, shift });
  return type === 'i32' ? pooled : factor(b, pooled);
}

/** A product; at times by way of a table. */
function multiply(b: Builder, x: ValueId): void {
  const { data } = b;
  const { rows, cols } = b.of(x);
  const viaTable = data.integer(0, 1) === 0;
  const out: Output = viaTable ? { type: 'i16' } : WIDE;
  const common = { name: '', rows, cols };
  const a = factor(b, x);
  const product = b.add({
    ...common,
    op: 'multiply',
    out,
    a,
    b: partner(b, x, 'i16'),
    ...fittingRequantization(data, out, 30, 27, cols),
  });
  if (!viaTable) return;
  const table = data.fill(new Int32Array(257), -TABLE_LIMIT, TABLE_LIMIT, 16);
  const requantization = fittingRequantization(data, WIDE, 22, 21, cols);
  b.add({ ...common, op: 'lookup', out: WIDE, x: product, table, ...requantization });
}

function divide(b: Builder, x: ValueId): void {
  const { rows, cols } = b.of(x);
  const bits = b.data.integer(0, 28);
  const requantization = fittingRequantization(b.data, WIDE, Math.min(31, 24 + bits), 4 + bits, cols);
  const second = partner(b, x, 'i32');
  b.add({ op: 'divide', name: '', rows, cols, out: WIDE, a: x, b: second, bits, ...requantization });
}

function softmax(b: Builder, x: ValueId): void {
  const { data } = b;
  const { rows, cols } = b.of(x);
  b.add({
    op: 'softmax',
    name: '',
    rows,
    cols,
    out: WIDE,
    x,
    kind: data.pick(['shift', 'quadratic'] as const),
    fractionBits: data.integer(8, 11),
    scoreMultiplier: data.integer(1, 1 << 20),
    scoreShift: data.integer(20, 30),
    ...fittingRequantization(data, WIDE, 17, 14, cols),
  });
}

/** x times another value, or itself, head by head; or all its channels by all of its own. */
function matmul(b: Builder, x: ValueId): void {
  const { data } = b;
  const { rows, cols } = b.of(x);
  const isTransposed = data.integer(0, 2) === 0;
  const other = isTransposed ? x : data.pick(b.all('i32').filter((id) => b.of(id).cols === cols));
  const heads = data.pick([1, 2, 3].filter((count) => cols % count === 0));
  const channels = Math.trunc(cols / heads);
  const n = b.of(other).rows;
  const batch = data.pick([1, 2].filter((count) => rows % count === 0 && n % count === 0));
  const view = (id: ValueId): MatrixView => ({
    x: factor(b, id),
    stride: cols,
    rows:
      data.integer(0, 2) === 0
        ? Int32Array.from({ length: b.of(id).rows }, () => data.integer(0, b.of(id).rows - 1))
        : null,
    offset: 0,
    headStride: channels,
    ...(isTransposed && { transposed: true }),
  });
  const [tokens, others] = [Math.trunc(rows / batch), Math.trunc(n / batch)];
  const shape = isTransposed ? { m: channels, n: channels, k: tokens } : { m: tokens, n: others, k: channels };
  const bits = 30 + bitLength(shape.k);
  b.add({
    op: 'matmul',
    name: '',
    rows: batch * shape.m,
    cols: heads * shape.n,
    out: WIDE,
    a: view(x),
    b: view(other),
    ...{ batch, heads, ...shape },
    ...fittingRequantization(data, WIDE, bits, bits - 3, heads * shape.n),
  });
}

/** Some columns of x turned by tables: constants, or made of x itself. */
function rotate(b: Builder, x: ValueId): void {
  const { data } = b;
  const { rows, cols: all } = b.of(x);
  const cols = data.pick([all, data.integer(1, all)]);
  const period = data.pick([1, 2, 3, cols].filter((length) => cols % length === 0));
  const tableRows = data.pick([1, rows, Math.trunc(rows / 2)].filter((count) => count > 0 && rows % count === 0));
  const words: Output = { type: 'i16' };
  const table = (): ValueId =>
    tableRows === rows && period === all && data.integer(0, 1) === 0
      ? factor(b, data.pick(b.all('i32').filter((id) => b.of(id).rows === rows && b.of(id).cols === all)))
      : b.add({
          ...{ op: 'constant', name: '', rows: tableRows, cols: period, out: words },
          data: data.fill(new Int16Array(tableRows * period), -32767, 32767),
        });
  b.add({
    ...{ op: 'rotate', name: '', rows, cols, out: WIDE, x: factor(b, x), cos: table(), sin: table() },
    column: data.integer(0, all - cols),
    partner: Int32Array.from({ length: cols }, () => data.integer(0, cols - 1)),
    ...fittingRequantization(data, WIDE, 31, 28, cols),
  });
}

export const PRODUCTS: readonly Growth[] = [multiply, multiply, divide, softmax, matmul, rotate];
