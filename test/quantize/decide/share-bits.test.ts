import fc from 'fast-check';
import { expect, test } from 'vitest';
import { errorOf, shareBits, type SharingLayer } from '../../../src/quantize/decide/share-bits.js';

const layer = fc.record({
  count: fc.integer({ min: 1, max: 1000 }),
  error: fc.double({ min: 0, max: 1, noNaN: true }),
  asked: fc.option(fc.integer({ min: 2, max: 8 }), { nil: undefined, freq: 5 }),
});
const layersOf = (some: readonly Omit<SharingLayer, 'id' | 'cols'>[]): SharingLayer[] =>
  some.map((one, i) => ({ ...one, id: `${i}`, cols: 1 }));
const plain = ({ count }: SharingLayer, bits: number): number => count * bits;

test('bits fit the total, are 2 to 8, and as asked where they are asked for', () => {
  fc.assert(
    fc.property(
      fc.array(layer, { minLength: 1, maxLength: 12 }),
      fc.double({ min: 0, max: 9, noNaN: true }),
      (some, mean) => {
        const layers = layersOf(some);
        const total = mean * layers.reduce((sum, { count }) => sum + count, 0);
        const bits = shareBits(layers, plain, total);
        const least = layers.reduce((sum, one) => sum + plain(one, one.asked ?? 2), 0);
        expect(bits === null).toBe(least > total);
        if (bits === null) return;
        expect(layers.reduce((sum, one) => sum + plain(one, bits.get(one.id)!), 0)).toBeLessThanOrEqual(total);
        for (const { id, asked } of layers) {
          expect([2, 3, 4, 5, 6, 7, 8]).toContain(bits.get(id));
          if (asked !== undefined) expect(bits.get(id)).toBe(asked);
        }
        // Nothing that still fits was left out.
        for (const one of layers.filter(({ id, asked }) => asked === undefined && bits.get(id)! < 8)) {
          const raised = layers.reduce(
            (sum, { id, count }) => sum + count * (bits.get(id)! + (id === one.id ? 1 : 0)),
            0,
          );
          expect(raised).toBeGreaterThan(total);
        }
      },
    ),
  );
});

test('layers of one size: no other choice of as many bits leaves less error', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.001, max: 1, noNaN: true }), { minLength: 3, maxLength: 3 }),
      fc.integer({ min: 6, max: 24 }),
      (errors, total) => {
        const layers = layersOf(errors.map((error) => ({ count: 1, error, asked: undefined })));
        const found = errorOf(layers, shareBits(layers, plain, total)!);
        for (let a = 2; a <= 8; a++)
          for (let b = 2; b <= 8; b++) {
            const c = Math.min(8, total - a - b);
            if (c < 2) continue;
            const other = new Map([a, b, c].map((bits, i) => [`${i}`, bits]));
            expect(found).toBeLessThanOrEqual(errorOf(layers, other) * (1 + 1e-9));
          }
      },
    ),
  );
});

test('a bit that costs much more is worth less', () => {
  const [large, small] = layersOf([
    { count: 1000, error: 0.5, asked: undefined },
    { count: 10, error: 0.4, asked: undefined },
  ]);
  const bits = shareBits([large!, small!], plain, 2 * 1010 + 60)!;
  expect([bits.get('0'), bits.get('1')]).toEqual([2, 8]);
});
