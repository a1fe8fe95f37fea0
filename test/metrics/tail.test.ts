import { expect, test } from 'vitest';
import { applyTail } from '../../src/metrics/tail.js';

const reals = (shape: number[], ...values: number[]) => ({ shape, values: Float64Array.from(values) });

test('softmax along an axis that is not the last', () => {
  // Columns (0, ln 3) and (ln 4, 0) of a map [2, 2].
  const { shape, values } = applyTail(reals([2, 2], 0, Math.log(4), Math.log(3), 0), [{ op: 'softmax', axis: 0 }]);
  expect(shape).toEqual([2, 2]);
  [0.25, 0.8, 0.75, 0.2].forEach((want, i) => expect(values[i]).toBeCloseTo(want, 12));
});

test('sigmoid and logSoftmax', () => {
  expect(applyTail(reals([1], Math.log(3)), [{ op: 'sigmoid' }]).values[0]).toBeCloseTo(0.75, 12);
  const { values } = applyTail(reals([2], 0, Math.log(3)), [{ op: 'logSoftmax', axis: 0 }]);
  expect(values[0]).toBeCloseTo(-Math.log(4), 12);
});

test('thresholds give 1 and 0', () => {
  const row = reals([3], -1, 0.5, 2);
  const cut = (op: 'greater' | 'greaterOrEqual' | 'less' | 'lessOrEqual') =>
    Array.from(applyTail(row, [{ op, than: '0.5' }]).values);
  expect(cut('greater')).toEqual([0, 0, 1]);
  expect(cut('greaterOrEqual')).toEqual([0, 1, 1]);
  expect(cut('less')).toEqual([1, 0, 0]);
  expect(cut('lessOrEqual')).toEqual([1, 1, 0]);
});

test('argMax drops its axis, also of a softmax and of a map', () => {
  const steps = [
    { op: 'softmax', axis: 0 },
    { op: 'argMax', axis: 0 },
  ] as const;
  expect(applyTail(reals([3], 1, 5, 2), steps)).toEqual({ shape: [], values: Float64Array.of(1) });
  const map = reals([2, 1, 3], 1, 5, 2, 3, 4, 2);
  expect(applyTail(map, [{ op: 'argMax', axis: 0 }])).toEqual({ shape: [1, 3], values: Float64Array.of(1, 0, 0) });
});

test('the best values and where they are', () => {
  const row = reals([2, 3], 1, 5, 2, 9, 7, 8);
  expect(applyTail(row, [{ op: 'topValues', axis: 1, count: 2 }])).toEqual(reals([2, 2], 5, 2, 9, 8));
  expect(applyTail(row, [{ op: 'topIndices', axis: 1, count: null }])).toEqual(reals([2, 3], 1, 2, 0, 0, 2, 1));
});
