import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Random } from '../../../src/images/random.js';
import { decodeWeights, encodeWeights } from '../../../src/program/codebook.js';
import {
  productWithMean,
  roundCoded,
  roundInOrder,
  roundToNearest,
  roundingOrder,
} from '../../../src/quantize/fit/weight-rounding.js';

const [N, K, ROWS] = [6, 12, 400];
const seeds = fc.integer({ min: 1, max: 2 ** 30 });

/** Weights [N, K] and correlated inputs [ROWS, K] with their Gram matrix [K, K]. */
function problemOf(seed: number) {
  const random = new Random(seed);
  const weight = Float64Array.from({ length: N * K }, () => random.normal());
  const x = new Float64Array(ROWS * K);
  for (let r = 0; r < ROWS; r++) {
    const common = 3 * random.normal();
    for (let k = 0; k < K; k++) x[r * K + k] = common + random.normal();
  }
  const gram = new Float64Array(K * K);
  for (let r = 0; r < ROWS; r++)
    for (let i = 0; i < K; i++) for (let j = 0; j < K; j++) gram[i * K + j] += x[r * K + i] * x[r * K + j];
  return { weight, gram };
}

/** Σ_n e_n·G·e_nᵀ of the rounding errors: the squared error of the outputs. */
function outputError(weight: Float64Array, quantized: Int8Array, scale: Float64Array, gram: Float64Array): number {
  const error = weight.map((w, i) => w - quantized[i] * scale[Math.floor(i / K)]);
  let sum = 0;
  for (let n = 0; n < N; n++)
    for (let i = 0; i < K; i++)
      for (let j = 0; j < K; j++) sum += error[n * K + i] * gram[i * K + j] * error[n * K + j];
  return sum;
}

describe.each([4, 6, 8])('weights of %i bits', (bits) => {
  const limit = 2 ** (bits - 1) - 1;

  test('to the nearest: no error above half a step, the largest of each row at the limit', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const { weight } = problemOf(seed);
        const { quantized, scale } = roundToNearest(weight, N, K, bits);
        for (let n = 0; n < N; n++) {
          const row = Array.from(quantized.subarray(n * K, (n + 1) * K), Math.abs);
          expect(Math.max(...row)).toBe(limit);
        }
        weight.forEach((w, i) => {
          const step = scale[Math.floor(i / K)];
          expect(Math.abs(w - quantized[i] * step)).toBeLessThanOrEqual(step * 0.5001);
        });
      }),
      { numRuns: 30 },
    );
  });

  test('in order: within the limit, and with less error of the output than the nearest', () => {
    let [inOrder, nearest] = [0, 0];
    for (let seed = 1; seed <= 20; seed++) {
      const { weight, gram } = problemOf(seed);
      const first = roundInOrder(weight, roundingOrder(gram, K)!, N, K, bits);
      const second = roundToNearest(weight, N, K, bits);
      for (const q of first.quantized) expect(Math.abs(q)).toBeLessThanOrEqual(limit);
      inOrder += outputError(weight, first.quantized, first.scale, gram);
      nearest += outputError(weight, second.quantized, second.scale, gram);
    }
    expect(inOrder).toBeLessThan(0.6 * nearest);
  });
});

describe.each([2, 3, 4, 5, 6, 7])('coded weights of %i bits', (bits) => {
  test('are what their codes stand for, and leave less error of the output than as many plain bits', () => {
    let [coded, plain] = [0, 0];
    for (let seed = 1; seed <= 20; seed++) {
      const { weight, gram } = problemOf(seed);
      const order = roundingOrder(gram, K)!;
      const { quantized, coding, scale } = roundCoded(weight, order, K, bits);
      const op = { ...coding!, weight: quantized, inFeatures: K } as Parameters<typeof encodeWeights>[0];
      expect(decodeWeights(encodeWeights(op), K, coding!)).toEqual(quantized);
      const other = roundInOrder(weight, order, N, K, bits);
      coded += outputError(weight, quantized, scale, gram);
      plain += outputError(weight, other.quantized, other.scale, gram);
    }
    expect(coded).toBeLessThan(plain);
  });

  test('a row of zeros stays one', () => {
    const { weight } = problemOf(1);
    weight.fill(0, K, 2 * K);
    const { quantized } = roundCoded(weight, null, K, bits);
    expect(quantized.subarray(K, 2 * K).every((w) => w === 0)).toBe(true);
  });
});

test('inputs that are no more than one another have an order too', () => {
  expect(roundingOrder(new Float64Array(K * K).fill(1), K)!.channels).toHaveLength(K);
  expect(roundingOrder(new Float64Array(K * K), K)!.channels).toHaveLength(K);
});

test('planes add up for the mean input', () => {
  const plane = (quantized: number[], scale: number) => ({
    bits: 8,
    quantized: Int8Array.from(quantized),
    coding: null,
    scale: Float64Array.of(scale, scale),
  });
  const output = productWithMean([plane([1, 2, 3, 4], 0.5), plane([1, 0, 0, 1], 0.25)], Float64Array.of(2, 4));
  expect([...output]).toEqual([0.5 * (2 + 8) + 0.25 * 2, 0.5 * (6 + 16) + 0.25 * 4]);
});
