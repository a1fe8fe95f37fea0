import fc from 'fast-check';
import { expect, it } from 'vitest';
import { lookUp } from '../../src/kernels/lookup.js';

const LIMIT = 2 ** 21;
/** 0 up to entry 128, then 100 a step; the last segment falls to −7. */
const table = Int32Array.from({ length: 257 }, (_, i) => (i === 256 ? -7 : Math.max(0, i - 128) * 100));

it.each([
  [0, 0],
  [1, 0], // (100 + 128) >> 8
  [2, 1], // 0.78
  [128, 50],
  [256, 100],
  [-1, 0],
  [-32767, 0],
  [32767, 43], // 12700 + ((−12707·255 + 128) >> 8) = 12700 − 12657
  [32512, 12700],
])('of %i is %i', (x, v) => expect(lookUp(x, table)).toBe(v));

it('lies on the straight line between two entries, to half a step', () => {
  const entry = fc.integer({ min: -LIMIT, max: LIMIT });
  fc.assert(
    fc.property(fc.integer({ min: -32767, max: 32767 }), entry, entry, (x, left, right) => {
      const entries = new Int32Array(257);
      const i = Math.floor((x + 32768) / 256);
      entries[i] = left;
      entries[i + 1] = right;
      const exact = left + ((right - left) * (x + 32768 - 256 * i)) / 256;
      return Math.abs(lookUp(x, entries) - exact) <= 0.5;
    }),
  );
});
