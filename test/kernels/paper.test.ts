import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyDyadic, paper, quantizeReal, symmetricScale, toDyadic } from '../../src/kernels/index.js';

interface Vectors {
  readonly shiftmax: readonly { x: number[]; scale: number; bits: number; out: number[] }[];
  readonly shiftGelu: readonly { x: number[]; scale: number; out: number[] }[];
  readonly layerNorm: readonly { x: number[]; weight: number[]; bias: number[]; out: string[] }[];
  readonly dyadic: readonly { scale: number; b: number; c: number }[];
}

const vectors = JSON.parse(readFileSync(path.join(import.meta.dirname, 'vectors.json'), 'utf8')) as Vectors;

describe('the published kernels equal exact fractions', () => {
  test(`Shiftmax, ${vectors.shiftmax.length} rows`, () => {
    for (const { x, scale, bits, out } of vectors.shiftmax) {
      expect(paper.shiftmax(Int32Array.from(x), scale, bits), `scale ${scale}, ${bits} bits`).toEqual(
        Int32Array.from(out),
      );
    }
  });

  test(`ShiftGELU, ${vectors.shiftGelu.length} rows`, () => {
    for (const { x, scale, out } of vectors.shiftGelu) {
      expect(paper.shiftGelu(Int32Array.from(x), scale), `scale ${scale}`).toEqual(Int32Array.from(out));
    }
  });

  test(`I-LayerNorm, ${vectors.layerNorm.length} rows`, () => {
    for (const { x, weight, bias, out } of vectors.layerNorm) {
      expect(paper.layerNorm(Int32Array.from(x), weight, bias)).toEqual(BigInt64Array.from(out, BigInt));
    }
  });
});

describe('the published kernels', () => {
  test('Shiftmax is near softmax', () => {
    const scale = 0.05;
    const x = Int32Array.of(-128, -40, 0, 3, 60, 100, 127);
    const exact = [...x].map((v) => Math.exp(v * scale));
    const sum = exact.reduce((a, b) => a + b);
    paper.shiftmax(x, scale, 16).forEach((v, i) => expect(v / 2 ** 15).toBeCloseTo(exact[i] / sum, 1));
  });

  test('a row whose numbers are all far below zero overflows nothing', () => {
    expect([...paper.shiftGelu(Int32Array.of(-2147483648, -2147483648), 1)]).toEqual([0, 0]);
  });

  test('arguments that make no sense are refused', () => {
    const x = Int32Array.of(1, 2);
    for (const scale of [0, -1, NaN, Infinity, 1e-40]) {
      expect(() => paper.shiftmax(x, scale, 8), String(scale)).toThrow(RangeError);
      expect(() => paper.shiftGelu(x, scale), String(scale)).toThrow(RangeError);
    }
    for (const bits of [1, 32, 8.5, NaN])
      expect(() => paper.shiftmax(x, 0.1, bits)).toThrow(/Expected an integer from 2 to 31 for bits/);
    expect(() => paper.layerNorm(x, [1, 0], [0, 1])).toThrow(/Expected a weight other than 0 .* for channel 1/);
    expect(() => paper.layerNorm(x, [1, 0], [0, 0])).toThrow(RangeError);
    expect(() => paper.layerNorm(x, [1], [0])).toThrow(/Expected 2 numbers/);
    expect(() => paper.shiftGelu(Int32Array.of(2 ** 30), 1)).toThrow(/fits 32 bits/);
    for (const f of [() => paper.shiftmax(new Int32Array(0), 1, 8), () => paper.layerNorm(new Int32Array(0), [], [])])
      expect(f).toThrow(/at least one/);
  });
});

describe('toDyadic', () => {
  test(`equals exact fractions, ${vectors.dyadic.length} scales`, () => {
    for (const { scale, b, c } of vectors.dyadic) expect(toDyadic(scale), String(scale)).toStrictEqual({ b, c });
  });

  test('is within half a unit of 31 bits, for every scale it takes', () => {
    fc.assert(
      fc.property(fc.double({ min: 2 ** -31, max: 2 ** 30 - 1, noNaN: true }), (m) => {
        const { b, c } = toDyadic(m);
        expect(b).toBeGreaterThanOrEqual(2 ** 30);
        expect(b).toBeLessThan(2 ** 31);
        expect(Math.abs(b / 2 ** c - m)).toBeLessThanOrEqual(2 ** -(c + 1));
        expect(toDyadic(-m)).toStrictEqual({ b: -b, c });
      }),
    );
  });

  test('refuses what no dyadic number can say', () => {
    for (const scale of [NaN, Infinity, -Infinity, 2 ** 30, -(2 ** 30), 2 ** 30 - 2 ** -12, 1e300]) {
      expect(() => toDyadic(scale), String(scale)).toThrow(RangeError);
    }
  });

  test('application rounds half up, with a 64-bit product', () => {
    expect(applyDyadic(3, { b: 1, c: 1 })).toBe(2);
    expect(applyDyadic(-3, { b: 1, c: 1 })).toBe(-1);
    expect(applyDyadic(2147483647, { b: 2147483647, c: 31 })).toBe(2147483646);
    fc.assert(
      fc.property(fc.integer(), fc.double({ min: -4, max: 4, noNaN: true }), (x, m) => {
        expect(Math.abs(applyDyadic(x, toDyadic(m)) - x * m)).toBeLessThanOrEqual(0.5 + Math.abs(x) * 2 ** -30);
      }),
    );
  });
});

test('symmetric quantization: m = 10 at 8 bits takes 3.141592 to 40', () => {
  const scale = symmetricScale(10, 8);
  expect(scale).toBe(10 / 127);
  expect(quantizeReal(3.141592, scale, 8)).toBe(40);
  expect(quantizeReal(-3.141592, scale, 8)).toBe(-40);
  expect(quantizeReal(1000, scale, 8)).toBe(127);
  expect(quantizeReal(-1000, scale, 8)).toBe(-127);
  expect([2.5, -2.5, 0.4].map((r) => quantizeReal(r, 1, 8))).toEqual([3, -3, 0]);
});
