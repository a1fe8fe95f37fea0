import { describe, expect, test } from 'vitest';
import { createOpRunner } from '../../src/engine/runner.js';
import { traceProgram } from '../../src/engine/trace.js';
import { normalizeRow } from '../../src/kernels/layer-norm.js';
import type { LayerNormOp } from '../../src/program/types.js';
import { syntheticImage } from '../../src/images/synthetic/index.js';
import { DEFAULT_OPTIONS, KERNEL_SETS, quantizeGraph } from '../../src/quantize/index.js';
import type { KernelSet } from '../../src/quantize/index.js';
import { functionErrors } from '../../src/report/index.js';
import { tinyGraph } from '../cli/ivit.js';

const SIZE = 16;
const images = Array.from({ length: 12 }, (_, i) => Uint8Array.from(syntheticImage(SIZE, SIZE, i).data));

async function errorsOf(kernels: KernelSet) {
  const normalization = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
  const options = { ...DEFAULT_OPTIONS, kernels };
  const { program, functions } = await quantizeGraph({ graph: tinyGraph(1), images, normalization, options });
  const runner = await createOpRunner('reference');
  return { program, functions, runner, errors: await functionErrors(program, functions, runner, images.slice(0, 3)) };
}

describe('functions beside the exact ones', () => {
  test('a LayerNorm: the error of its rows, computed from the kernel alone', async () => {
    const { program, functions, runner, errors } = await errorsOf('shift');
    const of = functions.find((one) => one.function === 'norm')!;
    let most = 0;
    for (const pixels of images.slice(0, 3))
      traceProgram(program, runner, pixels, (op, [x]) => {
        if (op.name !== of.name) return;
        const { cols, epsilon } = op as LayerNormOp;
        for (let at = 0; at < x!.data.length; at += cols) {
          const row = Int32Array.from(x!.data.subarray(at, at + cols));
          const normalized = new Int32Array(cols);
          normalizeRow(row, true, epsilon, normalized);
          const mean = row.reduce((a, b) => a + b) / cols;
          const squares = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) + Number(epsilon);
          row.forEach((v, c) => {
            const exact = ((v - mean) / Math.sqrt(squares)) * Math.sqrt(cols);
            most = Math.max(most, Math.abs(exact - normalized[c]! * Math.sqrt(cols) * 2 ** -30));
          });
        }
      });
    const reported = errors.find(({ name }) => name === of.name)!;
    expect(reported.kind).toBe('LayerNorm');
    // Its result is read in steps of 2^-18; ε is an integer in the program.
    expect(Math.abs(reported.maxError - most)).toBeLessThan(2 ** -17);
  });

  test('tables of the function itself are nearer than shift forms, and these than the published ones', async () => {
    const found = new Map<KernelSet, Map<string, number>>();
    for (const kernels of KERNEL_SETS) {
      const { errors } = await errorsOf(kernels);
      found.set(kernels, new Map(errors.map(({ name, meanError }) => [name, meanError])));
      expect(errors.map((one) => one.function)).toEqual(expect.arrayContaining(['softmax', 'activation', 'norm']));
      for (const { meanError, maxError } of errors) {
        expect(meanError).toBeGreaterThan(0);
        expect(maxError).toBeLessThan(0.5);
      }
    }
    const mean = (kernels: KernelSet, name: string) => found.get(kernels)!.get(name)!;
    for (const name of ['attn', 'gelu']) {
      expect(mean('lut', name)).toBeLessThan(mean('shift', name));
      expect(mean('shift', name)).toBeLessThan(mean('paper', name));
    }
  });
});
