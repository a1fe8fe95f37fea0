import { expect, test } from 'vitest';
import { filesBelow, isCheckout, textOf } from './sources.js';

/** The quantizer's numerics, what measures, and the kernels of models that are not integer-only. */
const EXCEPTIONS = ['native/quantizer/', 'native/test/', 'native/float/'];

test.skipIf(!isCheckout)('no C of the engines has a floating-point type, but that of native/float/', () => {
  const files = filesBelow('native').filter((file) => /\.[ch]$/.test(file));
  const withFloats = files.filter((file) =>
    /\b(float|double)\b/.test(textOf(file).replace(/\/\*[\s\S]*?\*\/|"[^"]*"/g, '')),
  );
  expect(withFloats).toContain('native/float/rows.h');
  expect(withFloats.filter((file) => !EXCEPTIONS.some((folder) => file.startsWith(folder)))).toEqual([]);
});
