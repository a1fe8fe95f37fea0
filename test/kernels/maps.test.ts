import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutWindows, depthwiseRow, findTaps, mixRow, normalizeGroups, poolMaxima } from '../../src/kernels/index.js';
import type { Geometry } from '../../src/program/types.js';

/** A map of 3 lines of 4 pixels, windows of 2×2, one pixel of padding above and to the left, every other column. */
const GEOMETRY: Geometry = {
  size: [3, 4],
  kernel: [2, 2],
  stride: [1, 2],
  pad: [1, 1],
  dilation: [1, 1],
  outSize: [3, 2],
};
/** Pixel p has the channels p and −10·p. */
const MAP = Int16Array.from({ length: 24 }, (_, i) => (i % 2 === 0 ? i / 2 : -5 * (i - 1)));

describe('findTaps', () => {
  const tapsAt = (geometry: Geometry, row: number) => {
    const pixels = new Int32Array(geometry.kernel[0] * geometry.kernel[1]);
    findTaps(geometry, row, pixels);
    return [...pixels];
  };

  test('counts pixels line by line, −1 outside the map', () => {
    expect(tapsAt(GEOMETRY, 0)).toEqual([-1, -1, -1, 0]);
    expect(tapsAt(GEOMETRY, 1)).toEqual([-1, -1, 1, 2]);
    expect(tapsAt(GEOMETRY, 2)).toEqual([-1, 0, -1, 4]);
    expect(tapsAt(GEOMETRY, 5)).toEqual([5, 6, 9, 10]);
  });

  test('leaves gaps of dilation − 1 pixels', () => {
    expect(tapsAt({ ...GEOMETRY, kernel: [2, 3], dilation: [2, 1], pad: [0, 0] }, 1)).toEqual([2, 3, -1, 10, 11, -1]);
  });
});

test('cutWindows lays taps side by side, and fills those outside', () => {
  const out = new Int16Array(6 * 8);
  cutWindows(GEOMETRY, MAP, 2, 7, out);
  expect([...out.subarray(0, 8)]).toEqual([7, 7, 7, 7, 7, 7, 0, 0]);
  expect([...out.subarray(40, 48)]).toEqual([5, -50, 6, -60, 9, -90, 10, -100]);
});

test('poolMaxima takes the largest tap inside the map', () => {
  const out = new Int16Array(6 * 2);
  poolMaxima(GEOMETRY, MAP, 2, out);
  expect([...out]).toEqual([0, 0, 2, -10, 4, 0, 6, -10, 8, -40, 10, -50]);
});

test('depthwiseRow weighs each channel by itself', () => {
  const v = new Int32Array(2);
  const weight = Int16Array.of(1, 10, 2, 20, 3, 30, 4, 40);
  depthwiseRow({ cols: 2, weight }, MAP, Int32Array.of(5, 6, 9, 10), v);
  expect([...v]).toEqual([5 + 12 + 27 + 40, -10 * (50 + 120 + 270 + 400)]);
  depthwiseRow({ cols: 2, weight }, MAP, Int32Array.of(-1, 1, -1, 5), v);
  expect([...v]).toEqual([2 + 20, -(200 + 2000)]);
});

test('mixRow leaves out index −1, and holds 53 bits', () => {
  const v = [0, 0];
  const x = Int32Array.of(2 ** 24 - 1, 1, -(2 ** 24 - 1), 2, 5, 3);
  const op = { cols: 2, taps: 3, index: Int32Array.of(0, -1, 2, 0, 0, 1), weight: new Int16Array(6) };
  op.weight.set([32767, 32767, -1, 32767, 32767, -32767]);
  mixRow(op, x, 0, v);
  expect(v).toEqual([32767 * (2 ** 24 - 1) - 5, 32767 - 3]);
  mixRow(op, x, 1, v);
  expect(v).toEqual([3 * 32767 * (2 ** 24 - 1), 0]);
});

/** The same from real numbers, to a relative 2^−20 of a unit: a formula of its own. */
function normalizeReal(x: Int16Array, cols: number, groups: number, epsilon: number): number[] {
  const width = cols / groups;
  const group = (i: number) => Math.floor((i % cols) / width);
  const count = x.length / groups;
  const sums = Array.from({ length: groups }, () => 0);
  x.forEach((value, i) => (sums[group(i)] += value));
  const means = sums.map((sum) => Math.floor(sum / count + 0.5));
  const squares = Array.from({ length: groups }, () => epsilon);
  x.forEach((value, i) => (squares[group(i)] += (value - means[group(i)]) ** 2));
  const deviations = squares.map((sum) => Math.floor(Math.sqrt(Math.max(1, sum))));
  return Array.from(x, (value, i) => ((value - means[group(i)]) / deviations[group(i)]) * 2 ** 30);
}

describe('normalizeGroups', () => {
  test('two groups of one channel: 3, 5 and 4, 4', () => {
    const normalized = new Int32Array(4);
    normalizeGroups(Int16Array.of(3, 4, 5, 4), 2, 2, 0n, normalized);
    // −1 and 1 over ⌊√2⌋ = 1, f = 2^31 − 1, t = 1; the second group has no spread.
    expect([...normalized]).toEqual([-(2 ** 30), 0, 2 ** 30 - 1, 0]);
  });

  test('follows the formula in real numbers', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.integer({ min: -32767, max: 32767 }), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 0, max: 10000 }),
        (groups, width, values, epsilon) => {
          const cols = groups * width;
          const x = Int16Array.from({ length: cols * Math.ceil(values.length / cols) }, (_, i) => values[i] ?? -i);
          const normalized = new Int32Array(x.length);
          normalizeGroups(x, cols, groups, BigInt(epsilon), normalized);
          const expected = normalizeReal(x, cols, groups, epsilon);
          normalized.forEach((value, i) => expect(Math.abs(value - expected[i])).toBeLessThan(8));
        },
      ),
    );
  });
});
