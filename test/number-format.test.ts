import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decibels, seconds } from '../src/number-format.js';

test('seconds never reach 60', () => {
  expect([59.94, 59.96, 119.6, 125.4].map(seconds)).toEqual(['59.9 s', '1 min 0 s', '2 min 0 s', '2 min 5 s']);
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e5, noNaN: true }), (value) => {
      const [, minutes = '0', rest] = /^(?:(\d+) min )?([\d.]+) s$/.exec(seconds(value))!;
      expect(Number(rest)).toBeLessThan(60);
      expect(Math.abs(Number(minutes) * 60 + Number(rest) - value)).toBeLessThanOrEqual(0.5);
    }),
  );
});

test('a ratio of nothing to nothing is no number of decibels', () => {
  expect([12.34, 0 / 0, 1 / 0, -1 / 0, null].map(decibels)).toEqual(['12.3', '–', '∞', '-∞', '–']);
});
