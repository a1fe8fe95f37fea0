/** Cases of the ops that combine two values, and of those that apply any function: see random-ops.ts. */
import fc from 'fast-check';
import { bitLength } from '../../src/kernels/dyadic.js';
import type { Value } from '../../src/engine/types.js';
import { MAX_QUOTIENT_BITS, TABLE_LIMIT, WIDE_LIMIT } from '../../src/program/limits.js';
import type { MatmulOp, MatrixView, Op, ValueType } from '../../src/program/types.js';
import { Data, type OpCase } from './random-ops.js';

const NO_IMAGE: OpCase['input'] = { height: 1, width: 1, channels: 1 };

const size = (max: number) => fc.integer({ min: 1, max });
const rowsCase = fc.record({
  rows: fc.oneof(size(9), fc.constantFrom(12, 30)),
  cols: fc.oneof(size(40), size(200), fc.constantFrom(64)),
  out: fc.constantFrom<ValueType>('u8', 'i8', 'i16', 'i32', 'rows'),
  seed: fc.integer(),
});

/** The second operand of an op of [rows, cols]: of as many elements, or broadcast. */
function secondOperand(data: Data, type: 'i16' | 'i32', rows: number, cols: number): Value {
  const divisors = Array.from({ length: rows }, (_, i) => i + 1).filter((n) => rows % n === 0);
  const shapes: [number, number][] = [
    [rows, cols],
    [rows, cols],
    [cols, rows],
    [data.pick(divisors), cols],
    [data.pick(divisors), 1],
    [rows, 1],
  ];
  const value = data.value({ type }, ...data.pick(shapes));
  const zeros = data.pick([0, 0, 3]);
  for (let i = 0; i < value.data.length && zeros > 0; i += data.integer(1, zeros)) value.data[i] = 0;
  return value;
}

const multiplyCase: fc.Arbitrary<OpCase> = rowsCase.map(({ rows, cols, out: type, seed }) => {
  const data = new Data(seed);
  const out = data.output(type);
  const requantization = data.requantization(out, 30, cols);
  const op: Op = { op: 'multiply', name: 'product', rows, cols, out, a: 1, b: 2, ...requantization };
  const a = data.value({ type: 'i16' }, rows, cols);
  return { op, operands: [a, secondOperand(data, 'i16', rows, cols)], input: NO_IMAGE };
});

const divideCase: fc.Arbitrary<OpCase> = fc
  .record({ common: rowsCase, bits: fc.integer({ min: 0, max: MAX_QUOTIENT_BITS }) })
  .map(({ common: { rows, cols, out: type, seed }, bits }) => {
    const data = new Data(seed);
    const out = data.output(type);
    const requantization = data.requantization(out, Math.min(31, 24 + bits), cols);
    const op: Op = { op: 'divide', name: 'quotient', rows, cols, out, a: 1, b: 2, bits, ...requantization };
    const a = data.value({ type: 'i32' }, rows, cols);
    return { op, operands: [a, secondOperand(data, 'i32', rows, cols)], input: NO_IMAGE };
  });

const lookupCase: fc.Arbitrary<OpCase> = rowsCase.map(({ rows, cols, out: type, seed }) => {
  const data = new Data(seed);
  const out = data.output(type);
  const limit = data.pick([TABLE_LIMIT, TABLE_LIMIT, 32767, 100]);
  const table = data.fill(new Int32Array(257), -limit, limit, data.pick([2, 20, 257]));
  const requantization = data.requantization(out, bitLength(limit), cols);
  const op: Op = { op: 'lookup', name: 'tanh', rows, cols, out, x: 1, table, ...requantization };
  return { op, operands: [data.value({ type: 'i16' }, rows, cols)], input: NO_IMAGE };
});

const softmaxCase: fc.Arbitrary<OpCase> = fc
  .record({
    common: rowsCase,
    kind: fc.constantFrom('shift' as const, 'quadratic' as const),
    fractionBits: fc.integer({ min: 8, max: 11 }),
  })
  .map(({ common: { rows, cols, out: type, seed }, kind, fractionBits }) => {
    const data = new Data(seed);
    const out = data.output(type);
    const x = data.value({ type: 'i32' }, rows, cols);
    const limit = data.pick([WIDE_LIMIT, 1 << 16, 1 << 12, 1]);
    data.fill(x.data as Int32Array, -limit, limit, cols);
    const scoreBits = data.integer(1, 31);
    // Scores that span some 2^(fractionBits + 5), and at times all that there are.
    const fitting = bitLength(limit) + scoreBits - fractionBits - data.integer(0, 7);
    const scoreShift = Math.max(1, data.integer(0, 9) === 0 ? data.integer(1, 62) : fitting);
    const op: Op = {
      op: 'softmax',
      name: 'softmax',
      rows,
      cols,
      out,
      x: 1,
      kind,
      fractionBits,
      scoreMultiplier: data.integer(2 ** (scoreBits - 1), 2 ** scoreBits - 1) * data.pick([1, 1, 1, -1]),
      scoreShift,
      ...data.requantization(out, 17, cols),
    };
    return { op, operands: [x], input: NO_IMAGE };
  });

/** A view on `batch` matrices of [rows, k] in each head, with gaps, in any order, at times transposed. */
function matrixView(data: Data, x: number, shape: Record<'batch' | 'heads' | 'rows' | 'k', number>) {
  const transposed = data.pick([false, true]);
  const [tokens, length] = transposed ? [shape.k, shape.rows] : [shape.rows, shape.k];
  const count = shape.batch * tokens;
  const headStride = data.pick([length, length, length + data.integer(1, 9), 0]);
  const offset = data.pick([0, 0, data.integer(1, 9)]);
  const stride = offset + (shape.heads - 1) * headStride + length + data.pick([0, 0, data.integer(1, 9)]);
  const total = count + data.pick([0, 2]);
  const rows = data.pick([null, Int32Array.from({ length: count }, () => data.integer(0, total - 1))]);
  const view: MatrixView = { x, stride, rows, offset, headStride, ...(transposed && { transposed }) };
  return { view, value: data.value({ type: 'i16' }, total, stride) };
}

const matmulCase: fc.Arbitrary<OpCase> = fc
  .record({
    batch: size(3),
    heads: size(3),
    m: fc.oneof(size(9), size(30)),
    n: fc.oneof(size(9), size(40), size(100)),
    k: fc.oneof(size(9), size(70), fc.constantFrom(64, 300, 512, 513, 1025)),
    out: fc.constantFrom<ValueType>('u8', 'i8', 'i16', 'i32', 'rows'),
    seed: fc.integer(),
  })
  .map(({ batch, heads, m, n, k, out: type, seed }) => {
    const data = new Data(seed);
    const out = data.output(type);
    const a = matrixView(data, 1, { batch, heads, rows: m, k });
    const b = matrixView(data, 2, { batch, heads, rows: n, k });
    for (const { value } of [a, b]) {
      const limit = data.pick([32767, 32767, 2000, 50]);
      data.fill(value.data as Int16Array, -limit, limit, data.pick([k, value.data.length]));
    }
    const op: MatmulOp = {
      op: 'matmul',
      name: 'matmul',
      rows: batch * m,
      cols: heads * n,
      out,
      a: a.view,
      b: b.view,
      ...{ batch, heads, m, n, k },
      ...data.requantization(out, 30 + bitLength(k), heads * n),
    };
    return { op, operands: [a.value, b.value], input: NO_IMAGE };
  });

/** Partners of heads of `period` columns: the other half, the neighbour, any of them, any column at all. */
function anyPartners(data: Data, cols: number, period: number): Int32Array {
  const half = period >> 1;
  const within = data.pick<(i: number) => number>([
    (i) => (period % 2 > 0 ? i : (i + half) % period),
    (i) => (period % 2 > 0 ? i : i ^ 1),
    () => data.integer(0, period - 1),
  ]);
  const isAny = data.integer(0, 4) === 0;
  return Int32Array.from({ length: cols }, (_, n) =>
    isAny ? data.integer(0, cols - 1) : n - (n % period) + within(n % period),
  );
}

const rotateCase: fc.Arbitrary<OpCase> = fc
  .record({
    tableRows: fc.oneof(size(9), fc.constant(12)),
    windows: fc.oneof(fc.constant(1), size(4)),
    period: fc.oneof(size(40), fc.constantFrom(8, 16, 24, 32, 40, 64, 72, 80)),
    heads: size(5),
    out: fc.constantFrom<ValueType>('u8', 'i8', 'i16', 'i32', 'rows'),
    seed: fc.integer(),
  })
  .map(({ tableRows, windows, period, heads, out: type, seed }) => {
    const data = new Data(seed);
    const [rows, cols] = [tableRows * windows, heads * period];
    const out = data.output(type);
    const column = data.pick([0, 0, data.integer(1, 20)]);
    const words = (height: number, width: number) => data.value({ type: 'i16' }, height, width);
    const op: Op = {
      ...{ op: 'rotate', name: 'rotate', rows, cols, out, x: 1, cos: 2, sin: 3, column },
      partner: anyPartners(data, cols, period),
      ...data.requantization(out, 31, cols),
    };
    const x = words(rows, column + cols + data.pick([0, 0, data.integer(1, 20)]));
    return { op, operands: [x, words(tableRows, period), words(tableRows, period)], input: NO_IMAGE };
  });

export const ALGEBRA_CASES = {
  multiply: multiplyCase,
  divide: divideCase,
  lookup: lookupCase,
  softmax: softmaxCase,
  matmul: matmulCase,
  rotate: rotateCase,
} as const;
