import { expect, it } from 'vitest';
import { multiplyViews } from '../../src/kernels/matmul.js';
import type { MatmulOp } from '../../src/program/types.js';

const op = (fields: Partial<MatmulOp>): MatmulOp => ({
  op: 'matmul',
  name: 'y',
  rows: 2,
  cols: 2,
  out: { type: 'i32' },
  a: { x: 1, stride: 3, rows: null, offset: 0, headStride: 0 },
  b: { x: 2, stride: 3, rows: null, offset: 0, headStride: 0 },
  ...{ batch: 1, heads: 1, m: 2, n: 2, k: 3 },
  multiplier: new Int32Array(2),
  offset: new BigInt64Array(2),
  shift: 1,
  ...fields,
});

const rowOf = (matmul: MatmulOp, a: number[], b: number[], r: number): number[] => {
  const acc: number[] = new Array<number>(matmul.heads * matmul.n).fill(-1);
  multiplyViews(matmul, Int16Array.from(a), Int16Array.from(b), r, acc);
  return acc;
};

it('multiplies the rows of one value by those of another', () => {
  const [a, b] = [
    [1, 2, 3, -4, 5, 6],
    [7, 8, 9, 10, -11, 12],
  ];
  expect(rowOf(op({}), a, b, 0)).toEqual([50, 24]);
  expect(rowOf(op({}), a, b, 1)).toEqual([66, -23]);
});

it('takes heads and windows from where the views say', () => {
  const matmul = op({
    ...{ batch: 2, heads: 2, m: 1, n: 1, k: 1, rows: 2, cols: 2 },
    a: { x: 1, stride: 3, rows: Int32Array.of(1, 0), offset: 1, headStride: 1 },
    b: { x: 2, stride: 2, rows: null, offset: 0, headStride: 1 },
  });
  // Window 0 reads row 1 of a: channels 1 and 2 are 5 and 6; row 0 of b.
  expect(rowOf(matmul, [1, 2, 3, 4, 5, 6], [10, 100, -10, -100], 0)).toEqual([50, 600]);
  expect(rowOf(matmul, [1, 2, 3, 4, 5, 6], [10, 100, -10, -100], 1)).toEqual([-20, -300]);
});

it('takes element k of row i from channel i of token k where a view is transposed', () => {
  const matmul = op({
    a: { x: 1, stride: 2, rows: null, offset: 0, headStride: 0, transposed: true },
    b: { x: 2, stride: 2, rows: Int32Array.of(2, 1, 0), offset: 0, headStride: 0, transposed: true },
  });
  // a = [[1, 3, 5], [2, 4, 6]], b = [[9, 8, 7], [-1, -2, -3]].
  const [a, b] = [
    [1, 2, 3, 4, 5, 6],
    [7, -3, 8, -2, 9, -1],
  ];
  expect(rowOf(matmul, a, b, 0)).toEqual([68, -22]);
  expect(rowOf(matmul, a, b, 1)).toEqual([92, -28]);
});

it('is exact where the sum passes 32 bits', () => {
  const k = 100_000;
  const matmul = op({
    ...{ m: 1, n: 1, k },
    a: { x: 1, stride: k, rows: null, offset: 0, headStride: 0 },
    b: { x: 2, stride: k, rows: null, offset: 0, headStride: 0 },
  });
  const ends = new Array<number>(k).fill(32767);
  const [sum] = rowOf(matmul, [...ends.slice(1), 1], ends, 0);
  expect(BigInt(sum)).toBe(32767n * 32767n * BigInt(k - 1) + 32767n);
});
