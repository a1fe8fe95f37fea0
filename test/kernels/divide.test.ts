import fc from 'fast-check';
import { expect, it } from 'vitest';
import { divideRounded } from '../../src/kernels/divide.js';

const WIDE = 2 ** 24 - 1;

it.each([
  [7, 2, 0, 4], // 3.5: halves away from 0
  [-7, 2, 0, -4],
  [7, -2, 0, -4],
  [-7, -2, 0, 4],
  [1, 3, 8, 85], // 256/3 = 85.33
  [2, 3, 8, 171], // 170.67
  [0, -5, 28, 0],
  [5, 0, 2, 20], // b = 0 counts as 1
  [-5, 0, 2, -20],
  [0, 0, 0, 0],
  [WIDE, 1, 7, 2147483520],
  [WIDE, 1, 8, 2147483647], // cut off
  [-WIDE, 1, 28, -2147483647],
  [WIDE, -WIDE, 28, -268435456],
  [1, WIDE, 28, 16], // 16.000001
])('%i / %i with %i bits is %i', (a, b, bits, v) => expect(divideRounded(a, b, bits)).toBe(v));

it('is the nearest multiple of 2^−bits', () => {
  const wide = fc.integer({ min: -WIDE, max: WIDE });
  fc.assert(
    fc.property(wide, wide, fc.integer({ min: 0, max: 28 }), (a, b, bits) => {
      const divisor = BigInt(b === 0 ? 1 : b);
      const v = BigInt(divideRounded(a, b, bits));
      const distance = 2n * (v * divisor - (BigInt(a) << BigInt(bits)));
      const size = divisor < 0n ? -divisor : divisor;
      return v === 2147483647n || v === -2147483647n || (distance <= size && distance >= -size);
    }),
  );
});
