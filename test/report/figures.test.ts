import { describe, expect, test } from 'vitest';
import { IntegerCounts, weightHistogram } from '../../src/report/histogram.js';

describe('histograms of integers', () => {
  test('u8: the zero point is part of the ends', () => {
    const counts = new IntegerCounts({ type: 'u8', zero: 100 });
    counts.add(Uint8Array.of(0, 0, 3, 100, 255));
    const { ends, atEnds, from, step, counts: found } = counts.result();
    expect(ends).toEqual([0, 255]);
    expect(atEnds).toBeCloseTo(3 / 5, 12);
    expect([found[0], found[(100 - from) / step], found.at(-1)]).toEqual([3, 1, 1]);
  });

  test.each(['i16', 'i32'] as const)('%s: intervals widen, and every value stays counted where it is', (type) => {
    const values = Int32Array.from({ length: 200 }, (_, i) => (i - 90) * 151);
    const counts = new IntegerCounts({ type });
    counts.add(values.subarray(0, 100));
    counts.add(values.subarray(100));
    const { from, step, counts: found } = counts.result();
    const expected = found.map(
      (_, b) => values.filter((v) => v >= from + b * step && v < from + (b + 1) * step).length,
    );
    expect(found).toEqual(expected);
    expect(found.reduce((a, b) => a + b)).toBe(values.length);
  });

  test('weights of 4 bits: one interval for each', () => {
    const { counts, from, ends, atEnds } = weightHistogram(Int8Array.of(-7, -7, 0, 1, 7), 4);
    expect(ends).toEqual([-7, 7]);
    expect([counts[-7 - from], counts[-from], counts[7 - from]]).toEqual([2, 1, 1]);
    expect(atEnds).toBeCloseTo(3 / 5, 12);
  });
});
