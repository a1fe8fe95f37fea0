import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rotateRow } from '../../src/kernels/rotate.js';

function turn(x: number[], cos: number[], sin: number[], partner: number[]): number[] {
  const v = new Int32Array(partner.length);
  const row = { x: Int16Array.from(x), cos: Int16Array.from(cos), sin: Int16Array.from(sin) };
  rotateRow(row, Int32Array.from(partner), v);
  return [...v];
}

test('each channel, and its partner, by the tables of its place in the period', () => {
  // [3·10 + 5·1, 5·20 + 3·(−2), 7·10 + 7·1, 11·20 + 3·(−2)]
  expect(turn([3, 5, 7, 11], [10, 20], [1, -2], [1, 0, 2, 0])).toEqual([35, 94, 77, 214]);
});

test('at the ends of its range', () => {
  const most = 32767;
  expect(turn([most, -most], [most, -most], [most, most], [0, 0])).toEqual([2 * most * most, 2 * most * most]);
  expect(turn([most, -most], [-most, most], [-most, -most], [0, 0])).toEqual([-2 * most * most, -2 * most * most]);
});

test('by a quarter, a pair goes to the next axis', () => {
  expect(turn([3, 4], [0, 0], [-1, 1], [1, 0])).toEqual([-4, 3]);
});

test('the length of a pair stays, to the tables’ precision', () => {
  const word = fc.integer({ min: -32767, max: 32767 });
  fc.assert(
    fc.property(word, word, fc.double({ min: -7, max: 7, noNaN: true }), (a, b, angle) => {
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)].map((v) => Math.round(v * 32767));
      const [c, d] = turn([a, b], [cos, cos], [-sin, sin], [1, 0]);
      expect(Math.abs(Math.hypot(c, d) / 32767 - Math.hypot(a, b))).toBeLessThan(1.5);
    }),
  );
});
