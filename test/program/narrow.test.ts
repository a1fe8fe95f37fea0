import fc from 'fast-check';
import { expect, test } from 'vitest';
import { narrowed, storedTypes, widened } from '../../src/program/narrow.js';

const within = (most: bigint) => fc.bigInt({ min: -most, max: most });
const magnitudes = fc.constantFrom(7n, 15n, 31n, 63n).chain((bits) => within((1n << bits) - 1n));

test('tensors of 64 bits come back as they were, in the narrowest type', () => {
  fc.assert(
    fc.property(fc.array(magnitudes), (values) => {
      const data = BigInt64Array.from(values);
      const stored = narrowed('I64', data);
      expect(widened('I64', stored.data)).toEqual(data);
      const fits = (bits: bigint): boolean => values.every((x) => x < 1n << bits && x > -(1n << bits));
      const [least] = ([7n, 15n, 31n] as const).filter(fits);
      expect(stored.dtype).toBe(least === undefined ? 'I64' : `I${least + 1n}`);
      expect(storedTypes('I64')).toContain(stored.dtype);
    }),
  );
});

test('tensors of 32 bits come back as they were, in the narrowest type', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(7, 15, 31).chain((b) => fc.integer({ min: 1 - 2 ** b, max: 2 ** b - 1 }))),
      (values) => {
        const data = Int32Array.from(values);
        const stored = narrowed('I32', data);
        expect(widened('I32', stored.data)).toEqual(data);
        const largest = Math.max(0, ...values.map(Math.abs));
        expect(stored.dtype).toBe(largest < 128 ? 'I8' : largest < 32768 ? 'I16' : 'I32');
      },
    ),
  );
});

test('the edges of each type', () => {
  const typeOf = (x: bigint): string => narrowed('I64', BigInt64Array.of(x)).dtype;
  expect([127n, 128n, -127n, -128n].map(typeOf)).toEqual(['I8', 'I16', 'I8', 'I16']);
  expect([32767n, -32768n, 2n ** 31n - 1n, 2n ** 31n, -(2n ** 31n)].map(typeOf)).toEqual([
    'I16',
    'I32',
    'I32',
    'I64',
    'I64',
  ]);
});

test('tensors of 8 and 16 bits stay as they are', () => {
  for (const data of [Uint8Array.of(1), Int8Array.of(1), Int16Array.of(1)]) {
    const dtype = data instanceof Uint8Array ? 'U8' : data instanceof Int8Array ? 'I8' : 'I16';
    expect(narrowed(dtype, data)).toEqual({ dtype, data });
    expect(storedTypes(dtype)).toEqual([dtype]);
  }
});
