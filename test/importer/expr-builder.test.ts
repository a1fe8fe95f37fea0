import { describe, expect, test } from 'vitest';
import { Constant } from '../../src/importer/constant.js';
import { ExprBuilder } from '../../src/importer/expr-builder.js';
import { isConstant, isOperation, sameExpr, scalarValue, type Expr } from '../../src/importer/expr.js';

const b = new ExprBuilder();
const x = b.image([1, 3, 4, 4]);
const vector = (...values: number[]): Expr =>
  b.constant(Constant.of([values.length], 'float', Float32Array.from(values)));
const valuesOf = (expr: Expr): number[] => (isConstant(expr) ? Array.from(expr.value.data) : []);

describe('sums and products', () => {
  test('of constants are constants', () => {
    expect(valuesOf(b.add(vector(1, 2), b.mul(vector(3, 4), b.scalar(2))))).toEqual([7, 10]);
    expect(valuesOf(b.div(vector(1, 3), vector(2, 4)))).toEqual([0.5, 0.75]);
  });

  test('with neutral elements vanish', () => {
    expect(b.add(x, b.scalar(0))).toBe(x);
    expect(b.mul(b.scalar(1), x)).toBe(x);
  });

  test('keep their one constant second, and successive ones become one', () => {
    const sum = b.add(b.scalar(2), b.add(b.scalar(3), x));
    expect(isOperation(sum, 'add') && sum.inputs[0]).toBe(x);
    expect(isOperation(sum, 'add') && scalarValue(sum.inputs[1])).toBe(5);
  });

  test('that mean the same are the same', () => {
    expect(sameExpr(b.sub(x, b.scalar(2)), b.add(x, b.scalar(-2)))).toBe(true);
    expect(sameExpr(b.sub(x, b.scalar(2)), b.add(x, b.scalar(2)))).toBe(false);
    expect(isOperation(b.extremum('max', x, b.scalar(0)), 'relu')).toBe(true);
  });
});

describe('views', () => {
  test('of views are one, and none where nothing moves', () => {
    const turned = b.transpose(x, [0, 2, 3, 1]);
    expect(turned.op === 'view' && turned.sources).toEqual([x]);
    expect(b.transpose(turned, [0, 3, 1, 2])).toBe(x);
    expect(b.reshape(b.reshape(x, [48]), [1, 3, 4, 4])).toBe(x);
  });

  test('of constants are constants', () => {
    const matrix = b.constant(Constant.of([2, 3], 'float', Float32Array.of(1, 2, 3, 4, 5, 6)));
    expect(valuesOf(b.transpose(matrix, [1, 0]))).toEqual([1, 4, 2, 5, 3, 6]);
    expect(valuesOf(b.take(matrix, [null, [2, -1]]))).toEqual([3, 0, 6, 0]);
  });

  test.each([
    ['a reshape', () => b.reshape(x, [47])],
    ['a product', () => b.matmul(x, vector(1, 2))],
    ['a concatenation', () => b.concat([x, b.image([1, 3, 4, 5])], 1)],
    ['a sum', () => b.add(x, b.image([1, 3, 4, 5]))],
  ])('%s of shapes that do not fit is refused', (_, make) => expect(make).toThrow());
});

test('softmax, mean and product of constants', () => {
  const matrix = b.constant(Constant.of([2, 2], 'float', Float32Array.of(1, 3, 0, 0)));
  expect(valuesOf(b.reduce('mean', matrix, [1]))).toEqual([2, 0]);
  expect(valuesOf(b.softmax(matrix)).slice(2)).toEqual([0.5, 0.5]);
  expect(valuesOf(b.matmul(matrix, matrix))).toEqual([1, 3, 0, 0]);
});
