import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChannelStatistics } from '../../src/calibrate/statistics.js';

const CHANNELS = 3;
/** Images of a few rows; zeros and equal values are frequent, magnitudes range over many powers of two. */
const value = fc.oneof(
  { weight: 1, arbitrary: fc.constant(0) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: -20, max: 20 }))
      .map(([m, e]) => m * 2 ** e),
  },
);
const image = fc
  .array(value, { minLength: CHANNELS, maxLength: 8 * CHANNELS })
  .map((all) => Float32Array.from(all.slice(0, all.length - (all.length % CHANNELS))));
const images = fc.array(image, { minLength: 1, maxLength: 6 });

function observed(parts: readonly Float32Array[], histograms: boolean): ChannelStatistics {
  const statistics = new ChannelStatistics(CHANNELS, histograms);
  for (const part of parts) statistics.observe(part);
  return statistics;
}

const binsOf = (statistics: ChannelStatistics, c: number) =>
  statistics.histogram.subarray(c * ChannelStatistics.bins, (c + 1) * ChannelStatistics.bins);

describe('ChannelStatistics', () => {
  test('ranges and moments of a known tensor', () => {
    const statistics = observed([Float32Array.of(1, -2, 0, 3, 4, 0)], false);
    expect([...statistics.min]).toEqual([1, -2, 0]);
    expect([...statistics.max]).toEqual([3, 4, 0]);
    expect([...statistics.sum]).toEqual([4, 2, 0]);
    expect([...statistics.sumOfSquares]).toEqual([10, 20, 0]);
    expect(statistics).toMatchObject({ images: 1, count: 2 });
  });

  test('the range without the farthest image is that of the others', () => {
    fc.assert(
      fc.property(fc.array(image, { minLength: 2, maxLength: 6 }), (parts) => {
        const whole = observed(parts, false);
        const others = parts.map((_, left) =>
          observed(
            parts.filter((_, i) => i !== left),
            false,
          ),
        );
        for (let c = 0; c < CHANNELS; c++) {
          expect(whole.nextMax[c]).toBe(Math.min(...others.map(({ max }) => max[c])));
          expect(whole.nextMin[c]).toBe(Math.max(...others.map(({ min }) => min[c])));
        }
      }),
    );
  });

  test.each([true, false])('two halves merged are the whole (histograms: %s)', (histograms) => {
    fc.assert(
      fc.property(images, images, (first, second) => {
        const whole = observed([...first, ...second], histograms);
        const merged = observed(first, histograms);
        merged.merge(observed(second, histograms));
        expect(merged.min).toEqual(whole.min);
        expect(merged.max).toEqual(whole.max);
        expect(merged.nextMin).toEqual(whole.nextMin);
        expect(merged.nextMax).toEqual(whole.nextMax);
        expect(merged).toMatchObject({ images: whole.images, count: whole.count });
        for (let c = 0; c < CHANNELS; c++) {
          // Sums in another order; their terms cancel, so the error is a share of the terms' size.
          const size = 1e-12 * Math.max(Math.abs(whole.min[c]), Math.abs(whole.max[c]));
          expect(Math.abs(merged.sum[c] - whole.sum[c])).toBeLessThanOrEqual(whole.count * size);
          expect(Math.abs(merged.sumOfSquares[c] - whole.sumOfSquares[c])).toBeLessThanOrEqual(
            1e-12 * whole.sumOfSquares[c],
          );
          expect(merged.reach[c]).toBe(histograms ? whole.reach[c] : 0);
        }
        expect(merged.histogram.length).toBe(histograms ? CHANNELS * ChannelStatistics.bins : 0);
        if (histograms)
          for (let c = 0; c < CHANNELS; c++) expect(binsOf(merged, c).reduce((a, b) => a + b, 0)).toBe(whole.count);
      }),
    );
  });

  test('every value lies in its bin, or in the one beside it once the histogram has been widened', () => {
    fc.assert(
      fc.property(images, (parts) => {
        const statistics = observed(parts, true);
        const reversed = observed([...parts].reverse(), true);
        for (let c = 0; c < CHANNELS; c++) {
          const values = parts.flatMap((part) => [...part].filter((_, i) => i % CHANNELS === c)).sort((a, b) => a - b);
          const width = (2 * statistics.reach[c]) / ChannelStatistics.bins;
          for (const counted of [statistics, reversed]) {
            const positions = [...binsOf(counted, c)].flatMap((n, b) =>
              new Array<number>(n).fill(-counted.reach[c] + b * width),
            );
            expect(positions.length).toBe(values.length);
            positions.forEach((at, i) => expect(Math.abs(values[i] - at)).toBeLessThanOrEqual(2 * width));
          }
        }
      }),
    );
  });

  test('momentum ranges merge to their mean, weighed by images', () => {
    const a = observed([Float32Array.of(-1, 0, 1), Float32Array.of(-1, 0, 1)], false);
    a.merge(observed([Float32Array.of(-4, 0, 7)], false));
    expect(a.momentumMin[0]).toBeCloseTo(-2, 12);
    expect(a.momentumMax[2]).toBeCloseTo(3, 12);
  });

  test('an empty instance changes nothing; into one, all is taken over', () => {
    const seen = observed([Float32Array.of(1, 2, 3)], true);
    const copy = observed([Float32Array.of(1, 2, 3)], true);
    copy.merge(new ChannelStatistics(CHANNELS));
    expect(copy).toEqual(seen);
    const empty = new ChannelStatistics(CHANNELS);
    empty.merge(seen);
    expect(empty).toEqual(seen);
  });

  test('what cannot be merged or observed is refused', () => {
    expect(() => new ChannelStatistics(2).merge(new ChannelStatistics(3))).toThrow('channel counts differ');
    expect(() => new ChannelStatistics(2, false).merge(new ChannelStatistics(2, true))).toThrow('no histograms');
    expect(() => observed([Float32Array.of(1, NaN, 3, 1, 2, 3)], false)).toThrow('not finite');
    expect(() => observed([Float32Array.of(1, Infinity, 3)], false)).toThrow('not finite');
  });
});
