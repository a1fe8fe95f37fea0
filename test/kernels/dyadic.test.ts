import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyDyadic, bitLength, floorDivide, requantize, shiftRound } from '../../src/kernels/dyadic.js';

describe('requantize', () => {
  // 40·3 = 120; (120 + 8) >> 4 = 8; (−120 + 8) >> 4 = −7; halves go up: (8 + 8) >> 4 = 1, (−8 + 8) >> 4 = 0.
  it.each([
    [40, 3, 4, 8],
    [-40, 3, 4, -7],
    [8, 1, 4, 1],
    [-8, 1, 4, 0],
    [-9, 1, 4, -1],
    [0, 12345, 31, 0],
  ])('%i·%i/2^%i = %i', (v, b, c, expected) => {
    expect(requantize(v, { b, c }, 0n, -1000, 1000)).toBe(expected);
    expect(applyDyadic(v, { b, c })).toBe(expected);
  });

  it('adds the offset before the shift', () => {
    // (40·3 + 8 + 32) >> 4 = 160 >> 4 = 10
    expect(requantize(40, { b: 3, c: 4 }, 32n, -1000, 1000)).toBe(10);
  });

  it('clamps the 64-bit result before narrowing', () => {
    const most = 2 ** 31 - 1;
    expect(requantize(most, { b: most, c: 1 }, 0n, -127, 127)).toBe(127);
    expect(requantize(-most, { b: most, c: 1 }, 0n, -127, 127)).toBe(-127);
  });

  it('rounds v·b/2^c to the nearest integer', () => {
    const i32 = fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 });
    fc.assert(
      fc.property(i32, i32, fc.integer({ min: 1, max: 62 }), (v, b, c) => {
        const product = BigInt(v) * BigInt(b);
        const r = shiftRound(product, c);
        // −½ < r − product/2^c ≤ ½, over 2^(c+1)
        const difference = 2n * ((r << BigInt(c)) - product);
        expect(difference > -(1n << BigInt(c)) && difference <= 1n << BigInt(c)).toBe(true);
      }),
    );
  });
});

describe('floorDivide and bitLength', () => {
  it('are exact', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), fc.integer({ min: 1, max: 2 ** 31 - 1 }), (a, b) => {
        const q = floorDivide(a, b);
        expect(q * b <= a && a < (q + 1) * b).toBe(true);
        expect(bitLength(a)).toBe(a === 0 ? 0 : a.toString(2).length);
      }),
    );
  });
});
