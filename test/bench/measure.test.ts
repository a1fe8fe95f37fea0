import { expect, test } from 'vitest';
import { measure, quantile } from '../../src/bench/measure.js';
import type { Contender } from '../../src/bench/measure.js';

test('quantiles lie between the nearest values', () => {
  const sorted = Float64Array.of(1, 2, 4, 8);
  expect([0, 0.5, 1, 0.25].map((share) => quantile(sorted, share))).toEqual([1, 3, 8, 1.75]);
  expect(quantile(Float64Array.of(5), 0.9)).toBe(5);
});

test('contenders take turns', async () => {
  const calls: string[] = [];
  const contender = (runtime: string): Contender => ({
    runtime,
    precision: 'static',
    threads: 2,
    sqnrDb: null,
    run: async () => void calls.push(runtime),
    runMany: async (count) => void calls.push(`${count} of ${runtime}`),
    close: async () => undefined,
  });
  const timings = await measure([contender('a'), contender('b')], 2);
  const turn = (name: string) => [...Array<string>(5).fill(name), `8 of ${name}`];
  expect(calls).toEqual([...turn('a'), ...turn('b'), ...turn('a'), ...turn('b')]);
  for (const { least, median, spread } of timings) {
    expect(least).toBeLessThanOrEqual(median);
    expect(spread[0]).toBeLessThanOrEqual(spread[1]);
  }
});
