import { expect, test } from 'vitest';
import { digestBytes } from '../../src/metrics/digest.js';

test('digestBytes: each number as four bytes, the lowest first', () => {
  const bytes = digestBytes(Int32Array.of(1, -2, 0x01020304));
  expect([...bytes]).toEqual([1, 0, 0, 0, 254, 255, 255, 255, 4, 3, 2, 1]);
});
