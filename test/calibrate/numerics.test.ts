import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  centreRows,
  chooseTables,
  cholesky,
  countInBins,
  invertLower,
  momentsOf,
  roundInSteps,
  sumsByLevel,
} from '../../src/calibrate/numerics.js';
import { binOf, nearestLevels } from '../../src/quantize/fit/codebook-fit.js';
import { Random } from '../../src/images/random.js';

/** B·Bᵀ + I of a random [n, n] B: symmetric positive definite. */
const definite = fc.integer({ min: 1, max: 12 }).chain((n) =>
  fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: n * n, maxLength: n * n }).map((b) => ({
    n,
    a: Float64Array.from({ length: n * n }, (_, i) => {
      const [r, c] = [Math.floor(i / n), i % n];
      let sum = r === c ? 1 : 0;
      for (let k = 0; k < n; k++) sum += b[r * n + k] * b[c * n + k];
      return sum;
    }),
  })),
);

test('L·Lᵀ is A, and the inverse of L its inverse', () => {
  fc.assert(
    fc.property(definite, ({ n, a }) => {
      const factor = a.slice();
      expect(cholesky(factor, n)).toBe(true);
      const inverse = factor.slice();
      invertLower(inverse, n);
      for (let r = 0; r < n; r++) {
        for (let c = 0; c < n; c++) {
          let product = 0;
          let unit = 0;
          for (let k = 0; k < n; k++) {
            product += factor[r * n + k] * factor[c * n + k];
            unit += factor[r * n + k] * inverse[k * n + c];
          }
          expect(product).toBeCloseTo(a[r * n + c], 8);
          expect(unit).toBeCloseTo(r === c ? 1 : 0, 8);
          if (c > r) expect([factor[r * n + c], inverse[r * n + c]]).toEqual([0, 0]);
        }
      }
    }),
  );
});

test('a matrix that is not positive definite has no factor', () => {
  expect(cholesky(Float64Array.of(1, 2, 2, 1), 2)).toBe(false);
  expect(cholesky(Float64Array.of(0), 1)).toBe(false);
});

const number = fc.float({ noNaN: true, min: -100, max: 100 });
/** Values [rows, width]. */
const matrix = fc
  .tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 19 }))
  .chain(([rows, width]) =>
    fc
      .array(number, { minLength: rows * width, maxLength: rows * width })
      .map((values) => ({ rows, width, values: Float32Array.from(values) })),
  );

test('moments are those of each channel, added in the order of the rows', () => {
  fc.assert(
    fc.property(matrix, ({ width, values }) => {
      const moments = momentsOf(values, width);
      expect(moments.rows).toBe(values.length / width);
      for (let c = 0; c < width; c++) {
        const channel = [...values].filter((_, i) => i % width === c);
        // A range does not tell -0 from 0.
        expect(moments.low[c] + 0).toBe(Math.min(...channel) + 0);
        expect(moments.high[c] + 0).toBe(Math.max(...channel) + 0);
        expect(moments.sum[c]).toBe(channel.reduce((sum, v) => sum + v, 0));
        expect(moments.squares[c]).toBe(channel.reduce((sum, v) => sum + v * v, 0));
      }
    }),
  );
});

test('values are counted in the bins of their channel', () => {
  fc.assert(
    fc.property(matrix, ({ width, values }) => {
      const toBin = Float64Array.from({ length: width }, (_, c) => (c % 4) / 101);
      const wanted = new Uint32Array(width * 8);
      values.forEach((v, i) => wanted[(i % width) * 8 + Math.floor(v * toBin[i % width] + 4)]++);
      expect(countInBins(values, toBin, 8)).toEqual(wanted);
    }),
  );
});

test('a NaN shows in the sum and changes no range', () => {
  const moments = momentsOf(Float32Array.of(1, NaN, 3), 1);
  expect([moments.low[0], moments.high[0], moments.sum[0]]).toEqual([1, 3, NaN]);
});

test('centred rows have no weighted mean', () => {
  fc.assert(
    fc.property(matrix, ({ rows, width, values }) => {
      const weights = Float32Array.from({ length: rows }, (_, r) => 1 + (r % 3));
      const centred = values.slice();
      const mean = centreRows(centred, width, weights);
      const total = weights.reduce((a, b) => a + b, 0);
      for (let c = 0; c < width; c++) {
        let sum = 0;
        for (let r = 0; r < rows; r++) sum += weights[r] * values[r * width + c];
        expect(mean[c]).toBe(sum / total);
        for (let r = 0; r < rows; r++) {
          const at = r * width + c;
          expect(centred[at]).toBe(Math.fround((values[at] - mean[c]) * Math.sqrt(weights[r])));
        }
      }
    }),
  );
});

test('weights are rounded one after the other, errors passed on', () => {
  fc.assert(
    fc.property(definite, fc.integer({ min: 1, max: 40 }), fc.integer(), ({ n: K, a }, rows, seed) => {
      cholesky(a, K);
      const random = new Random(seed);
      const weight = Float64Array.from({ length: rows * K }, () => (random.integer(4001) - 2000) / 128);
      const limit = 7;
      const all = Array.from({ length: 2 * limit + 1 }, (_, i) => i - limit);
      const levels = { levels: nearestLevels(all), table: new Uint8Array(weight.length) };
      const quantized = roundInSteps(weight, a, K, levels);
      for (let r = 0; r < rows; r++) {
        const pending = new Float64Array(K);
        for (let k = K - 1; k >= 0; k--) {
          const w = weight[r * K + k];
          const q = Math.max(-limit, Math.min(limit, Math.round(w + pending[k] / a[k * K + k])));
          expect(quantized[r * K + k]).toBe(q === 0 ? 0 : q);
          for (let j = 0; j < k; j++) pending[j] += (w - q) * a[k * K + j];
        }
      }
    }),
  );
});

/** Weights [rows, K] in up to ±140 steps of their row, of channels that count differently. */
const weighed = fc.record({ K: fc.integer({ min: 1, max: 70 }), rows: fc.integer({ min: 1, max: 5 }), seed: fc.nat() });

function weighedRows({ K, rows, seed }: { K: number; rows: number; seed: number }) {
  const random = new Random(seed);
  const step = Float64Array.from({ length: rows }, () => (1 + random.integer(9)) / 7);
  return {
    random,
    step,
    weight: Float64Array.from(
      { length: rows * K },
      (_, i) => ((random.integer(28001) - 14000) / 100) * step[(i / K) | 0],
    ),
    importance: Float64Array.from({ length: K }, () => random.integer(100) / 10),
  };
}

test('each group takes the table of the least weighed error, the first of several', () => {
  fc.assert(
    fc.property(weighed, fc.integer({ min: 1, max: 16 }), ({ K, rows, seed }, count) => {
      const { random, step, weight, importance } = weighedRows({ K, rows, seed });
      const tables = Array.from({ length: count }, () =>
        nearestLevels(Array.from({ length: 9 }, () => random.integer(255) - 127).sort((a, b) => a - b)),
      );
      const chosen = chooseTables({ weight, importance }, step, tables, 32);
      const groups = Math.ceil(K / 32);
      expect(chosen.length).toBe(rows * groups);
      chosen.forEach((place, group) => {
        const row = Math.floor(group / groups);
        const errors = tables.map((levels) => {
          let error = 0;
          for (let k = (group % groups) * 32; k < Math.min(K, (group % groups) * 32 + 32); k++) {
            const w = weight[row * K + k] / step[row];
            error += importance[k] * (w - levels[binOf(w)]) ** 2;
          }
          return error;
        });
        expect(errors[place]).toBeCloseTo(Math.min(...errors), 6);
        expect(place).toBe(errors.indexOf(errors[place]));
      });
    }),
  );
});

test('weights count for the level that they are nearest to, as much as their errors cost', () => {
  fc.assert(
    fc.property(weighed, fc.integer({ min: 1, max: 127 }), ({ K, rows, seed }, count) => {
      const { random, step, weight, importance } = weighedRows({ K, rows, seed });
      const groups = Math.ceil(K / 32);
      const unit = Float64Array.from({ length: rows * groups }, (_, g) => step[(g / groups) | 0] * (1 + (g % 3) / 16));
      const edges = Float64Array.from({ length: count }, () => (random.integer(25001) - 12500) / 100).sort();
      const { sum, cost } = sumsByLevel({ weight, importance }, unit, 32, edges);
      const wanted = { sum: new Float64Array(count + 1), cost: new Float64Array(count + 1) };
      weight.forEach((w, i) => {
        const step = unit[Math.floor(i / K) * groups + Math.floor((i % K) / 32)];
        const level = edges.filter((edge) => edge <= w / step).length;
        const c = importance[i % K] * step * step;
        wanted.sum[level] += c * (w / step);
        wanted.cost[level] += c;
      });
      expect({ sum, cost }).toEqual(wanted);
    }),
  );
});
