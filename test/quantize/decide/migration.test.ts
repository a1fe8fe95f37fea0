import { describe, expect, test } from 'vitest';
import { ChannelStatistics } from '../../../src/calibrate/statistics.js';
import { chooseRanges } from '../../../src/quantize/decide/migration.js';
import { reachOf } from '../../../src/quantize/decide/reach.js';

describe("ranges of linear layers' inputs", () => {
  const C = 8;
  /** As many images as channels; in each, one channel of its own reaches four times as far as in all others. */
  const statistics = new ChannelStatistics(C, false);
  for (let i = 0; i < C; i++)
    statistics.observe(Float32Array.from({ length: 2 * C }, (_, k) => (k < C ? 1 : -1) * (k % C === i ? 4 : 1)));
  const weight = new Float32Array(C).fill(1);
  const choose = (clipWeight: number) =>
    chooseRanges(
      statistics,
      reachOf(statistics, 'minmax', null, false),
      { layers: [{ weight, taps: 1 }], limit: 127 },
      {
        method: 'minmax',
        rangeMargins: [1, 2, 4],
        clipWeight,
        centred: true,
      },
    );

  test('are as observed where clipping on unseen images does not count', () => {
    const { half, middle, margin } = choose(0);
    expect(margin).toBe(1);
    for (const h of half) expect(h).toBeCloseTo(4, 9);
    expect(Math.max(...middle.map(Math.abs))).toBeLessThan(1e-12);
  });

  test('have room where every image reaches farther than the others in some channel', () => {
    const { half, alpha, margin } = choose(1e6);
    // Without the image that reaches farthest a channel's range is 1, the tensor's 4.
    expect(margin * 1 ** alpha * 4 ** (1 - alpha)).toBeGreaterThanOrEqual(4);
    for (const h of half) expect(h).toBeGreaterThanOrEqual(4);
  });

  test('follow a centre that is given, as far to either side', () => {
    const center = new Float64Array(C).fill(1);
    const reach = reachOf(statistics, 'minmax', center, true);
    expect([...reach.above]).toEqual([...reach.below]);
    expect([...reach.above]).toEqual(new Array(C).fill(5));
    expect([
      ...chooseRanges(
        statistics,
        reach,
        { layers: [{ weight, taps: 1 }], limit: 127 },
        {
          method: 'minmax',
          rangeMargins: [1],
          clipWeight: 0,
          centred: true,
        },
      ).middle,
    ]).toEqual([...center]);
  });
});
