import { describe, expect, it } from 'vitest';
import { ChannelStatistics } from '../../../src/calibrate/statistics.js';
import { factorEncoding } from '../../../src/quantize/decide/factor-encoding.js';

/** Of rows of three channels that reach 2, 0.5 and 0. */
function statistics(): ChannelStatistics {
  const found = new ChannelStatistics(3);
  found.observe(Float32Array.of(1, 0.5, 0, -2, 0.25, 0));
  return found;
}

describe('factorEncoding', () => {
  it('gives each channel eight times its own reach', () => {
    const { out, scale, center } = factorEncoding(statistics(), 3);
    expect(out).toEqual({ type: 'i16' });
    expect(scale[0] * 32767).toBeCloseTo(16);
    expect(scale[1] * 32767).toBeCloseTo(4);
    expect([...center]).toEqual([0, 0, 0]);
  });

  it('gives a share of that where finer steps are asked for', () => {
    const [whole, quarter] = [1, 1 / 4].map((room) => factorEncoding(statistics(), 3, undefined, undefined, room));
    quarter.scale.forEach((s, c) => expect(s).toBeCloseTo(whole.scale[c] / 4));
  });

  it('leaves a dead channel a share of the largest', () => {
    const { scale } = factorEncoding(statistics(), 3);
    expect(scale[2]).toBeCloseTo(scale[0] / 256);
  });

  it('gives one scale where one is asked for, or rows are read in another length', () => {
    for (const { scale } of [factorEncoding(statistics(), 3, 1), factorEncoding(statistics(), 6)])
      for (const s of scale) expect(s * 32767).toBeCloseTo(16);
  });
});
