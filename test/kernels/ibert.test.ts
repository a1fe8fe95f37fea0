import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { activations } from '../../src/graph/activations.js';
import { ibert, integerSqrt } from '../../src/kernels/index.js';
import { IBERT_GELU_LIMIT } from '../../src/program/limits.js';

interface Vectors {
  readonly iSoftmax: readonly { x: number[]; bits: number; out: number[] }[];
  readonly iGelu: readonly { x: number[]; bits: number; out: number[] }[];
  readonly iSqrt: readonly { n: string; out: string }[];
}

const vectors = JSON.parse(readFileSync(path.join(import.meta.dirname, 'vectors.json'), 'utf8')) as Vectors;

function softmax(x: readonly number[], bits: number): number[] {
  const out = new Int32Array(x.length);
  ibert.softmaxInteger(
    Int32Array.from(x),
    x.reduce((a, b) => Math.max(a, b)),
    bits,
    out,
  );
  return [...out];
}

describe("I-BERT's kernels equal its algorithms in exact fractions", () => {
  test(`i-softmax, ${vectors.iSoftmax.length} rows`, () => {
    for (const { x, bits, out } of vectors.iSoftmax) expect(softmax(x, bits), `${bits} bits`).toEqual(out);
  });

  test(`i-GELU, ${vectors.iGelu.length} rows`, () => {
    for (const { x, bits, out } of vectors.iGelu)
      expect(
        x.map((value) => ibert.geluInteger(value, bits) + 0),
        `${bits} fraction bits`,
      ).toEqual(out.map((value) => value + 0));
  });

  test(`the root of I-LayerNorm ends where integerSqrt does, ${vectors.iSqrt.length} numbers`, () => {
    for (const { n, out } of vectors.iSqrt) expect(integerSqrt(BigInt(n))).toBe(BigInt(out));
  });
});

describe("I-BERT's kernels", () => {
  test('i-exp is within 0.0028 of the exponential, and never rises', () => {
    const one = ibert.expInteger(0);
    let last = one;
    for (let d = 0; d < 16 * 1024; d++) {
      const e = ibert.expInteger(d);
      expect(Math.abs(e / one - 2 ** (-d / 1024))).toBeLessThan(0.0028);
      expect(e).toBeLessThanOrEqual(last);
      last = e;
    }
    expect(ibert.expInteger(15 * 1024)).toBe(0);
    expect(ibert.expInteger(2 ** 31)).toBe(0);
  });

  test('i-softmax adds up to less than 1, by less than a step for each weight', () => {
    const scores = fc.array(fc.integer({ min: -20000, max: 20000 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(scores, fc.constantFrom(8, 16), (x, bits) => {
        const sum = softmax(x, bits).reduce((a, b) => a + b, 0);
        expect(sum).toBeLessThan(2 ** bits);
        expect(sum).toBeGreaterThanOrEqual(2 ** bits - x.length - 2);
      }),
    );
  });

  test('i-GELU is within 0.02 of GELU, and within its limit', () => {
    const unit = 0.2888 * 2 ** -14;
    fc.assert(
      fc.property(fc.integer({ min: -32767, max: 32767 }), fc.integer({ min: 8, max: 12 }), (x, bits) => {
        const scale = 2 ** -bits;
        const v = ibert.geluInteger(x, bits);
        // The two constants that stand for 1 differ in the fifth digit.
        const near = 0.02 + Math.abs(x * scale) * 1e-4;
        expect(Math.abs(v * unit * scale - activations.gelu.apply(x * scale))).toBeLessThan(near);
        expect(Math.abs(v)).toBeLessThanOrEqual(IBERT_GELU_LIMIT);
      }),
    );
  });
});
