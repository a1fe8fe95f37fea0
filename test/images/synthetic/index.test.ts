import { describe, expect, it } from 'vitest';
import type { RgbImage } from '../../../src/images/image.js';
import { syntheticImage } from '../../../src/images/synthetic/index.js';

function digest({ data }: RgbImage): number {
  return data.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193) >>> 0, 0x811c9dc5);
}

/** Statistics of one image, in units of the full range. */
function statistics({ data, width, height }: RgbImage) {
  const channel = (c: number) => {
    const values = data.filter((_, i) => i % 3 === c);
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
    return { mean: mean / 255, deviation: Math.sqrt(variance) / 255 };
  };
  /** Mean absolute difference of green between pixels `distance` apart. */
  const difference = (distance: number) => {
    let sum = 0;
    for (let y = 0; y < height; y++) {
      for (let x = distance; x < width; x++)
        sum += Math.abs(data[3 * (y * width + x) + 1]! - data[3 * (y * width + x - distance) + 1]!);
    }
    return sum / (height * (width - distance)) / 255;
  };
  return { channels: [0, 1, 2].map(channel), near: difference(1), far: difference(16) };
}

describe('syntheticImage', () => {
  it('is the same for a seed on every machine, and another for every seed', () => {
    const digests = Array.from({ length: 6 }, (_, seed) => digest(syntheticImage(96, 64, seed)));
    expect(digests).toEqual([2876713211, 455526797, 3568313442, 591136549, 819125444, 159447673]);
    expect(new Set(digests).size).toBe(6);
  });

  it.each([
    [1, 1],
    [32, 32],
    [7, 300],
    [97, 64],
  ])('has the size asked for, %i × %i', (width, height) => {
    for (let seed = 0; seed < 10; seed++) {
      const image = syntheticImage(width, height, seed);
      expect([image.width, image.height, image.data.length]).toEqual([width, height, 3 * width * height]);
    }
  });

  it('has the tones, contrast, colours and scaling of photographs', () => {
    const all = Array.from({ length: 64 }, (_, seed) => statistics(syntheticImage(112, 112, seed)));
    const average = (of: (one: (typeof all)[number]) => number) =>
      all.reduce((sum, one) => sum + of(one), 0) / all.length;
    const spread = (of: (one: (typeof all)[number]) => number) =>
      Math.sqrt(average((one) => (of(one) - average(of)) ** 2));
    // 256 photographs of ImageNet have means .477 .456 .412, deviations within an image .228 .224 .224, and means that
    // themselves deviate by .117 .117 .144.
    const expected = [0.477, 0.456, 0.412];
    for (let c = 0; c < 3; c++) {
      expect(Math.abs(average((one) => one.channels[c]!.mean) - expected[c]!)).toBeLessThan(0.05);
      expect(Math.abs(average((one) => one.channels[c]!.deviation) - 0.225)).toBeLessThan(0.03);
      expect(Math.abs(spread((one) => one.channels[c]!.mean) - 0.125)).toBeLessThan(0.04);
    }
    // Neither noise, whose differences do not grow with distance, nor blobs, whose neighbours are all but equal.
    expect(average((one) => one.near)).toBeGreaterThan(0.02);
    expect(average((one) => one.far / one.near)).toBeGreaterThan(2);
    // No flat image among them: it would calibrate nothing.
    expect(Math.min(...all.map((one) => one.channels[1]!.deviation))).toBeGreaterThan(0.03);
  });
});
