/** The figures of evaluations, each against its definition, computed in another way. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AveragePrecisionMeter, averagePrecision } from '../../src/metrics/average-precision.js';
import { CalibrationErrorMeter } from '../../src/metrics/calibration-error.js';
import { ConfusionMeter } from '../../src/metrics/confusion.js';
import { rankOfLabel } from '../../src/metrics/image-row.js';
import { wilsonInterval } from '../../src/metrics/interval.js';

describe("Wilson's interval", () => {
  test('has ends at which the share found is 1.96 standard deviations away', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), fc.double({ min: 0, max: 1, noNaN: true }), (images, share) => {
        const right = Math.round(share * images);
        for (const end of wilsonInterval(right, images)) {
          if (end === 0 || end === 1) continue;
          const deviations = (right / images - end) / Math.sqrt((end * (1 - end)) / images);
          expect(Math.abs(deviations)).toBeCloseTo(1.959964, 4);
        }
      }),
    );
  });

  test('is within 0 and 1, and ends there for none and all', () => {
    expect(wilsonInterval(0, 20)[0]).toBe(0);
    expect(wilsonInterval(20, 20)[1]).toBe(1);
    expect(wilsonInterval(0, 20)[1]).toBeCloseTo(1 - wilsonInterval(20, 20)[0], 12);
  });
});

describe('expected calibration error', () => {
  const errorOf = (images: readonly (readonly [number, boolean])[]): number | null => {
    const meter = new CalibrationErrorMeter();
    for (const [probability, isRight] of images) meter.add(probability, isRight);
    return meter.result();
  };

  test('is 0 of a model that knows how sure it may be', () => {
    const images = Array.from({ length: 10 }, (_, i) => [0.8, i < 8] as const);
    expect(errorOf(images)).toBeCloseTo(0, 12);
    expect(errorOf([[1, true]])).toBe(0);
    expect(errorOf([])).toBeNull();
  });

  test('is the mean gap of the bins, weighted by their images', () => {
    const images: [number, boolean][] = [
      [0.95, false],
      [0.97, true],
      [0.99, true],
      [0.3, true],
    ];
    // The first three share the last of 15 bins, the fourth is alone.
    const gaps = [Math.abs((0.95 + 0.97 + 0.99) / 3 - 2 / 3), Math.abs(0.3 - 1)];
    expect(errorOf(images)).toBeCloseTo((3 * gaps[0]! + gaps[1]!) / 4, 12);
  });
});

describe('average precision', () => {
  test('is 1 where all positives come first, and the share of positives where all scores are equal', () => {
    expect(averagePrecision([5, 4, 3, 2], [true, true, false, false])).toBe(1);
    expect(averagePrecision([7, 7, 7, 7], [true, false, false, false])).toBe(1 / 4);
  });

  test('is the mean precision at the positives, where no scores are equal', () => {
    const shuffled = fc.uniqueArray(fc.integer(), { minLength: 2, maxLength: 30 });
    fc.assert(
      fc.property(shuffled, fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }), (scores, flags) => {
        const isPositive = scores.map((_, i) => i === 0 || flags[i]!);
        const precisions = scores
          .filter((_, i) => isPositive[i])
          .map((score) => {
            const above = scores.map((other) => other >= score);
            return above.filter((is, i) => is && isPositive[i]).length / above.filter(Boolean).length;
          });
        const mean = precisions.reduce((sum, one) => sum + one, 0) / precisions.length;
        expect(averagePrecision(scores, isPositive)).toBeCloseTo(mean, 10);
      }),
    );
  });

  test('is averaged over the classes that an image has', () => {
    const meter = new AveragePrecisionMeter();
    meter.add([9, 1, 0], [0, 1]);
    meter.add([1, 5, 0], []);
    // Class 0 is found first; class 1 second of two; class 2 is none's.
    expect(meter.result()).toBe((1 + 1 / 2) / 2);
    expect(new AveragePrecisionMeter().result()).toBeNull();
  });
});

test('the rank of several classes is that of the best', () => {
  const logits = [3, 9, 5, 5];
  expect(rankOfLabel(logits, [3, 0])).toBe(2);
  expect(rankOfLabel(logits, 2)).toBe(1);
  expect(rankOfLabel(logits, [])).toBeNull();
  expect(rankOfLabel(logits, null)).toBeNull();
});

test('a confusion matrix counts each decision once', () => {
  const meter = new ConfusionMeter(3);
  const pairs: [number, number][] = [
    [0, 0],
    [0, 2],
    [0, 2],
    [2, 2],
    [2, 1],
  ];
  for (const [label, prediction] of pairs) meter.add(label, prediction);
  expect([0, 1, 2].map((label) => meter.row(label))).toEqual([
    [1, 0, 2],
    [0, 0, 0],
    [0, 1, 1],
  ]);
  expect(meter.confused(1)).toEqual([{ label: 0, prediction: 2, images: 2 }]);
  expect(meter.byClass()).toEqual([
    { label: 0, images: 3, top1: 1 / 3 },
    { label: 2, images: 2, top1: 1 / 2 },
  ]);
});
