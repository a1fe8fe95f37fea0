import { expect, test } from 'vitest';
import { isNearChance } from '../../src/metrics/chance.js';

test.each([
  [0.001, 500, 1000, true],
  [0.004, 500, 1000, true],
  [0.02, 500, 1000, false],
  [0.08, 336, 12, true],
  [0.27, 336, 12, false],
  [0, 19, 10, false],
  [0, 20, 10, true],
  [0.55, 40, 2, false],
  [0.45, 40, 2, true],
  [0, 100, 1, false],
])('%f right of %i images, %i classes: %o', (top1, images, classes, expected) => {
  expect(isNearChance(top1, images, classes)).toBe(expected);
});
