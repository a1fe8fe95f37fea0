import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openProducts, type Products } from '../../../src/calibrate/products.js';
import { fitLinear, type Fit, type FitProblem, type ResidualPlaneUse } from '../../../src/quantize/fit/linear.js';
import type { Wanted } from '../../../src/quantize/fit/output-errors.js';
import type { WeightPlane } from '../../../src/quantize/fit/weight-rounding.js';

let products: Products;
beforeAll(async () => void (products = await openProducts(1)));
afterAll(() => products.close());

const [N, K] = [6, 10];
const OPTIONS = { weightBits: 8, ridges: [0.1, 1], roundsInOrder: true, correctsBias: true };

type Problem = Omit<FitProblem, 'wanted'> & { readonly inputs: Float32Array; readonly outputs: Float32Array };

/**
 * A layer on rows of correlated inputs, whose wanted output is that of its weights for inputs that hold more.
 */
function problemOf(seed: number, rows: number, lost = 0): Problem {
  let state = (seed % 2147483646) + 1;
  const next = (): number => (state = (state * 16807) % 2147483647) / 2147483647 - 0.5;
  const weight = Float64Array.from({ length: N * K }, next);
  const bias = Float64Array.from({ length: N }, next);
  const x = new Float32Array(rows * K);
  for (let r = 0; r < rows; r++) {
    const common = 40 * next();
    for (let k = 0; k < K; k++) x[r * K + k] = 5 + common + 20 * next();
  }
  // Row by row, what a channel loses is part of its neighbour.
  const inputs = x.map((v, i) => v + lost * x[i % K === K - 1 ? i - K + 1 : i + 1]);
  const outputs = new Float32Array(rows * N);
  for (let r = 0; r < rows; r++) for (let n = 0; n < N; n++) outputs[r * N + n] = bias[n] + dot(weight, n, inputs, r);
  const rowWeight = new Float32Array(rows).fill(1);
  return { x, inputs, outputs, weight, bias, rowWeight, heldFrom: Math.floor(rows * 0.8) };
}

function dot(weight: Float64Array, n: number, x: Float32Array, r: number): number {
  let sum = 0;
  for (let k = 0; k < K; k++) sum += weight[n * K + k] * x[r * K + k];
  return sum;
}

/** The weights that planes stand for. */
function weightsOf(...planes: readonly WeightPlane[]): Float64Array {
  return Float64Array.from({ length: N * K }, (_, i) =>
    planes.reduce((sum, { quantized, scale }) => sum + quantized[i] * scale[Math.floor(i / K)], 0),
  );
}

/** Errors of the output on the rows fitted to: [rows, N]. */
function errorsOf({ x, outputs }: Problem, { bias }: Fit, weight: Float64Array): Float64Array {
  return Float64Array.from(outputs, (wanted, i) => bias[i % N] + dot(weight, i % N, x, Math.floor(i / N)) - wanted);
}

const energy = (values: Float64Array): number => values.reduce((sum, v) => sum + v * v, 0);
/** A fit centres what it is given: it gets copies. */
const fitTo = ({ x, ...problem }: Problem, wanted: Wanted, use: ResidualPlaneUse): Promise<Fit> =>
  fitLinear({ ...problem, x: x.slice(), wanted }, products, OPTIONS, use);
const fit = (problem: Problem, use: ResidualPlaneUse): Promise<Fit> =>
  fitTo(problem, { outputs: problem.outputs.slice() }, use);
const seeds = fc.integer({ min: 0, max: 2 ** 30 });

describe('a layer of few rows', () => {
  it('keeps its weights, rounded to the nearest; a residual plane holds what that leaves', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const problem = problemOf(seed, 8);
        const { residualPlane: second, ...first } = await fit(problem, 'own');
        expect(first.bits).toBe(8);
        expect(second!.bits).toBe(4);
        const [rough, fine] = [weightsOf(first), weightsOf(first, second!)];
        problem.weight.forEach((w, i) => {
          const n = Math.floor(i / K);
          expect(Math.abs(w - rough[i])).toBeLessThanOrEqual(first.scale[n] * 0.5001);
          expect(Math.abs(w - fine[i])).toBeLessThanOrEqual(second!.scale[n] * 0.5001);
          expect(second!.scale[n]).toBeLessThan(first.scale[n] / 13.9);
          expect(Math.abs(second!.quantized[i])).toBeLessThanOrEqual(7);
        });
      }),
      { numRuns: 30 },
    );
  });
});

describe('a layer of many rows', () => {
  it('errs less with a residual plane, and by nothing in the mean with the planes that are its own', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const problem = problemOf(seed, 3000);
        const [none, shared, own] = [
          await fit(problem, 'none'),
          await fit(problem, 'shared'),
          await fit(problem, 'own'),
        ];
        expect(none.residualPlane).toBeNull();
        expect(shared.quantized).toEqual(none.quantized);
        expect(shared.bias).toEqual(none.bias);
        expect(shared.residualPlane).toEqual(own.residualPlane);
        const alone = errorsOf(problem, shared, weightsOf(shared));
        const together = errorsOf(problem, own, weightsOf(own, own.residualPlane!));
        expect(energy(together)).toBeLessThan(energy(alone) / 10);
        const typical = Math.sqrt(energy(alone) / alone.length);
        for (const errors of [alone, together]) {
          const mean = new Float64Array(N);
          errors.forEach((error, i) => (mean[i % N] += (error * N) / errors.length));
          // Of 3000 rows the mean counts 99 %.
          for (const m of mean) expect(Math.abs(m)).toBeLessThan(0.05 * typical);
        }
      }),
      { numRuns: 10 },
    );
  });

  it('is the same fit whether the wanted outputs are given, or the inputs that make them', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, async (seed) => {
        const problem = {
          ...problemOf(seed, 500, 0.2),
          rowWeight: Float32Array.from({ length: 500 }, (_, r) => 1 + (r % 7)),
        };
        const byOutputs = await fit(problem, 'none');
        const byInputs = await fitTo(problem, { inputs: problem.inputs.slice() }, 'none');
        expect(byInputs.ridge).toBe(byOutputs.ridge);
        expect(byInputs.heldOutError!.before).toBeCloseTo(byOutputs.heldOutError!.before, 5);
        expect(byInputs.heldOutError!.after).toBeCloseTo(byOutputs.heldOutError!.after, 5);
        expect(byInputs.heldOutError!.after).toBeLessThan(byInputs.heldOutError!.before);
        const [one, other] = [weightsOf(byInputs), weightsOf(byOutputs)];
        one.forEach((w, i) =>
          expect(Math.abs(w - other[i])).toBeLessThanOrEqual(1.01 * byInputs.scale[Math.floor(i / K)]),
        );
        byInputs.bias.forEach((b, n) => expect(Math.abs(b - byOutputs.bias[n])).toBeLessThan(0.5));
      }),
      { numRuns: 10 },
    );
  });
});
