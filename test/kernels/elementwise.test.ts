import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { activations } from '../../src/graph/activations.js';
import { activate, shiftEvenPart } from '../../src/kernels/activation.js';
import { gatherPieces } from '../../src/kernels/gather.js';
import { cutPatches } from '../../src/kernels/patches.js';
import { quantizeRow, roundUpTo8Bits } from '../../src/kernels/output.js';
import { activationKnots } from '../../src/kernels/prepare.js';
import type { PatchesOp } from '../../src/program/types.js';

describe('activate', () => {
  // H rises by 10 a step of 16, to 30 at the last knot.
  const knots = Int16Array.from({ length: 64 }, (_, i) => (i < 3 ? 10 * i : 30));

  it.each([
    [0, 0],
    [8, 3], // H = (10·2^14 + 2^14) >> 15 = 5
    [-8, -5],
    [16, 6], // on a knot: H = 10
    [-32, -20],
    [1016, 1001], // the last segment falls to 0: H = 30 + ((−30·2^14 + 2^14) >> 15) = 15
    [1024, 1024],
    [-1024, 0],
    [32767, 32767],
    [-32767, 0],
  ])('of %i is %i', (x, y) => expect(activate(x, knots, 4)).toBe(y));

  it.each(['gelu', 'geluTanh', 'quickGelu', 'silu'] as const)(
    'in its shift form comes no nearer to %s with other factors',
    (kind) => {
      const [g, spacing] = [10, 7];
      const exact = activationKnots(activations[kind].evenPart, g, spacing);
      /** Squared distance for inputs of standard deviation 1.5. */
      const distance = (knots: ArrayLike<number>) =>
        exact.reduce(
          (sum, knot, i) => sum + Math.exp(-(((i * 2 ** spacing) / 2 ** g / 1.5) ** 2) / 2) * (knots[i] - knot) ** 2,
          0,
        );
      const own = distance(activationKnots(activations[kind].shiftForm, g, spacing));
      for (const alpha of [0.9, 1, 1.15, 1.5, 1.6, 1.702, 1.85]) {
        for (const gamma of [0, 0.03, 0.05, 0.07, 0.09]) {
          const [alphaBits, gammaBits] = [alpha, gamma].map((v) => Math.round(v * 2 ** 14));
          expect(own).toBeLessThan(
            distance(exact.map((_, i) => shiftEvenPart(i * 2 ** spacing, alphaBits, gammaBits, g))),
          );
        }
      }
    },
  );

  it('is GELU to within two steps of its fixed point, with the knots of GELU', () => {
    const [g, spacing] = [10, 6];
    const gelu = activationKnots(activations.gelu.evenPart, g, spacing);
    // Φ by Simpson's rule over the normal density: independent of the error function that made the knots.
    const phi = (x: number): number => {
      const n = 400;
      const h = x / n;
      let sum = 0;
      for (let i = 0; i <= n; i++)
        sum += (i === 0 || i === n ? 1 : i % 2 === 1 ? 4 : 2) * Math.exp(-((i * h) ** 2) / 2);
      return 0.5 + ((h / 3) * sum) / Math.sqrt(2 * Math.PI);
    };
    for (let x = -8192; x <= 8192; x += 37) {
      const exact = (x / 2 ** g) * phi(x / 2 ** g) * 2 ** g;
      expect(Math.abs(activate(x, gelu, spacing) - exact)).toBeLessThan(2);
    }
  });

  it('is ReLU with knots of 0', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -32767, max: 32767 }),
        fc.integer({ min: 4, max: 15 }),
        (x, spacing) => activate(x, new Int16Array(64), spacing) === Math.max(x, 0),
      ),
    );
  });
});

describe('quantizeRow', () => {
  const quantize = (u: number[]): { codes: number[]; scale: number } => {
    const codes = new Uint8Array(u.length);
    const scale = quantizeRow(Int32Array.from(u), codes, 0);
    return { codes: [...codes], scale };
  };

  it('follows the formula on 100, −50, 0', () => {
    // M' = 100, m = ⌊127·2^24/100⌋ = 21307064; 100m = 127·2^24 − 32, −50m + 2^23 = −63·2^24 + 16 of 2^24
    expect(quantize([100, -50, 0])).toEqual({ codes: [255, 65, 128], scale: 100 });
  });

  it.each([
    [1, 1],
    [255, 255],
    [256, 256],
    [257, 258],
    [1001, 1004],
    [1023, 1024],
    [2 ** 22 - 1, 2 ** 22],
  ])('rounds a maximum of %i up to %i, 8 significant bits', (max, scale) => expect(roundUpTo8Bits(max)).toBe(scale));

  it('takes a row of zeros', () => expect(quantize([0, 0])).toEqual({ codes: [128, 128], scale: 1 }));

  it('errs by at most half a step and what the multiplier lacks, below |u|/2^24 steps', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -(2 ** 22) + 1, max: 2 ** 22 - 1 }), { minLength: 1, maxLength: 20 }),
        (u) => {
          const { codes, scale } = quantize(u);
          const step = scale / 127;
          u.forEach((v, i) =>
            expect(Math.abs((codes[i] - 128) * step - v)).toBeLessThanOrEqual(
              (0.5 + Math.abs(v) / 2 ** 24) * step * 1.000001,
            ),
          );
        },
      ),
    );
  });
});

describe('cutPatches', () => {
  it('reads 0 outside the image', () => {
    const op: PatchesOp = {
      op: 'patches',
      name: 'p',
      rows: 4,
      cols: 4,
      out: { type: 'u8', zero: 0 },
      kernel: [2, 2],
      stride: [2, 2],
      pad: [1, 1],
      dilation: [1, 1],
      outSize: [2, 2],
    };
    const out = new Uint8Array(16);
    cutPatches(op, Uint8Array.of(1, 2, 3, 4), { height: 2, width: 2, channels: 1 }, out);
    expect([...out]).toEqual([0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0, 0, 0]);
  });

  it('orders a patch by row, column, channel, with stride and dilation', () => {
    const op: PatchesOp = {
      op: 'patches',
      name: 'p',
      rows: 1,
      cols: 4,
      out: { type: 'u8', zero: 0 },
      kernel: [1, 2],
      stride: [1, 1],
      pad: [0, 0],
      dilation: [1, 2],
      outSize: [1, 1],
    };
    const out = new Uint8Array(4);
    cutPatches(op, Uint8Array.of(1, 2, 3, 4, 5, 6), { height: 1, width: 3, channels: 2 }, out);
    expect([...out]).toEqual([1, 2, 5, 6]);
  });
});

describe('gatherPieces', () => {
  it('lays out pieces of several sources, and fills', () => {
    const out = new Int32Array(6);
    gatherPieces(
      [Int32Array.of(1, 2, 3, 4), Int32Array.of(5, 6)],
      { piece: 2, index: Int32Array.of(2, -1, 0), fill: 9 },
      out,
    );
    expect([...out]).toEqual([5, 6, 9, 9, 1, 2]);
  });
});
