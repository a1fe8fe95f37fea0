import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { geluFloat, normFloat, softmaxFloat } from '../../src/float-kernels/index.js';
import { activations } from '../../src/graph/activations.js';

const relative = (value: number, exact: number): number => Math.abs(value - exact) / Math.max(Math.abs(exact), 1e-3);

describe('kernels in float32 are near the exact functions', () => {
  test('softmax: within a step of 2^-16', () => {
    const scores = fc.array(fc.integer({ min: -20000, max: 20000 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(scores, (x) => {
        const max = Math.max(...x);
        const w = new Int32Array(x.length);
        softmaxFloat(Int32Array.from(x), max, w);
        const exact = x.map((score) => 2 ** ((score - max) / 1024));
        const sum = exact.reduce((a, b) => a + b, 0);
        exact.forEach((e, i) => expect(Math.abs(w[i] - (e / sum) * 65536)).toBeLessThanOrEqual(1));
      }),
    );
  });

  test('GELU: 2e-6 of the result', () => {
    fc.assert(
      fc.property(fc.integer({ min: -32767, max: 32767 }), fc.integer({ min: 6, max: 12 }), (x, f) => {
        const exact = activations.gelu.apply(x * 2 ** -f);
        expect(relative(geluFloat(x, f) * 2 ** -(f + 15), exact)).toBeLessThan(1e-3 * 2 + 2e-6);
        expect(Math.abs(geluFloat(x, f) * 2 ** -(f + 15) - exact)).toBeLessThan(2e-6 * Math.max(1, Math.abs(exact)));
      }),
    );
  });

  test('LayerNorm: 1e-4 of a standard deviation', () => {
    const row = fc.array(fc.integer({ min: -(2 ** 23), max: 2 ** 23 }), { minLength: 2, maxLength: 300 });
    fc.assert(
      fc.property(row, fc.boolean(), (x, center) => {
        const out = new Int32Array(x.length);
        normFloat(Int32Array.from(x), center, 0n, out);
        const mean = center ? x.reduce((a, b) => a + b, 0) / x.length : 0;
        const std = Math.sqrt(
          Math.max(
            x.reduce((a, b) => a + (b - mean) ** 2, 0),
            1,
          ) / x.length,
        );
        x.forEach((value, i) =>
          expect(Math.abs((out[i] * Math.sqrt(x.length)) / 2 ** 30 - (value - mean) / std)).toBeLessThan(
            1e-4 * Math.max(1, (Math.abs(mean) + Math.abs(value)) / Math.max(std, 1)),
          ),
        );
      }),
    );
  });
});
