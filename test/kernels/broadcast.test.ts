import { expect, test } from 'vitest';
import { broadcastAt, broadcastOf } from '../../src/kernels/broadcast.js';

const places = (rows: number, cols: number, b: { rows: number; cols: number }): number[][] =>
  Array.from({ length: rows }, (_, r) =>
    Array.from({ length: cols }, (_, n) => broadcastAt(broadcastOf({ rows, cols }, b), cols, r, n)),
  );

test.each([
  [
    'as many elements',
    { rows: 2, cols: 3 },
    [
      [0, 1],
      [2, 3],
      [4, 5],
    ],
  ],
  [
    'one row',
    { rows: 1, cols: 2 },
    [
      [0, 1],
      [0, 1],
      [0, 1],
    ],
  ],
  [
    'one column',
    { rows: 3, cols: 1 },
    [
      [0, 0],
      [1, 1],
      [2, 2],
    ],
  ],
  [
    'one number',
    { rows: 1, cols: 1 },
    [
      [0, 0],
      [0, 0],
      [0, 0],
    ],
  ],
])('%s', (_, b, expected) => expect(places(3, 2, b)).toEqual(expected));

test('rows in groups', () => {
  expect(places(4, 1, { rows: 2, cols: 1 })).toEqual([[0], [0], [1], [1]]);
  expect(places(4, 2, { rows: 2, cols: 2 }).at(-1)).toEqual([2, 3]);
});
