import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AccuracyMeter, rankOf, topIndices } from '../../src/metrics/accuracy.js';
import { agreementOf, argmax, softmax } from '../../src/metrics/agreement.js';
import { quantilesOf } from '../../src/metrics/quantiles.js';

describe('agreement', () => {
  test('by hand: two images of two classes', () => {
    // softmax(0, ln 3) = (1/4, 3/4); softmax(0, 0) = (1/2, 1/2).
    const float = [
      [0, Math.log(3)],
      [2, 1],
    ];
    const integer = [
      [0, 0],
      [2, 1],
    ];
    const { images, top1Agreement, kl, sqnrDb } = agreementOf(float, integer);
    expect({ images, top1Agreement }).toEqual({ images: 2, top1Agreement: 0.5 });
    expect(kl).toBeCloseTo((0.25 * Math.log(0.5) + 0.75 * Math.log(1.5)) / 2, 12);
    expect(sqnrDb).toBeCloseTo(10 * Math.log10((Math.log(3) ** 2 + 5) / Math.log(3) ** 2), 12);
  });

  test('equal logits agree wholly', () => {
    const logits = [Float32Array.of(1, -2, 3)];
    expect(agreementOf(logits, logits)).toEqual({ images: 1, top1Agreement: 1, kl: 0, sqnrDb: Infinity });
  });

  test('is stable for huge logits', () => {
    expect(agreementOf([[1e6, 0]], [[1e6, 1]]).kl).toBe(0);
    expect([...softmax([1e6, 0], 1)]).toEqual([1, 0]);
  });
});

describe('ranking', () => {
  test('of equal logits the lowest index comes first', () => {
    const logits = Int32Array.of(5, 7, 7, 5, 9);
    expect(topIndices(logits, 5)).toEqual([4, 1, 2, 0, 3]);
    expect(argmax(Int32Array.of(3, 3))).toBe(0);
    expect([0, 1, 2, 3, 4].map((label) => rankOf(logits, label))).toEqual([3, 1, 2, 4, 0]);
  });

  test('the rank of a class is its place among the top indices', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1 }), fc.nat(), (logits, seed) => {
        const label = seed % logits.length;
        expect(topIndices(logits, logits.length)[rankOf(logits, label)]).toBe(label);
        expect(topIndices(logits, 1)).toEqual([argmax(logits)]);
        const all = topIndices(logits, 100);
        expect(topIndices(logits, seed % 8)).toEqual(all.slice(0, seed % 8));
      }),
    );
  });

  test('top-1 and top-5 shares', () => {
    const meter = new AccuracyMeter();
    const logits = [6, 5, 4, 3, 2, 1];
    for (const label of [0, 0, 4, 5]) meter.add(logits, label);
    expect(meter.result()).toEqual({ images: 4, top1: 0.5, top5: 0.75 });
  });
});

test('percentiles by nearest rank', () => {
  const times = Array.from({ length: 200 }, (_, i) => ((i * 77) % 200) + 1);
  expect(quantilesOf(times)).toEqual({ p50: 100, p90: 180, p99: 198 });
  expect(quantilesOf([3])).toEqual({ p50: 3, p90: 3, p99: 3 });
});
