import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.js';
import { MAX_WORK } from '../../src/program/limits.js';
import type { AttentionOp, LinearOp, Op, Program } from '../../src/program/types.js';
import { checkWork, workOf } from '../../src/program/work.js';

const INPUT = { height: 1024, width: 1024, channels: 3 };

const linear = (rows: number, inFeatures: number, cols: number): LinearOp => ({
  ...{ op: 'linear', name: 'l', rows, cols, out: { type: 'i32' }, x: 0, inFeatures, weightBits: 8, rowShift: 0 },
  ...{ residual: null, shift: 1, weight: new Int8Array(0), bias: new Int32Array(0), multiplier: new Int32Array(0) },
});

const view = { x: 0, stride: 768, rows: null, offset: 0, headStride: 64 };
const attention = (batch: number, tokens: number): AttentionOp => ({
  ...{ op: 'attention', name: 'a', rows: batch * tokens, cols: 768, out: { type: 'i32' }, q: view, k: view, v: view },
  ...{ batch, heads: 12, queries: tokens, keys: tokens, dim: 64, valueDim: 64, softmax: 'shift', softmaxBits: 8 },
  ...{ fractionBits: 8, scoreShift: 1, bias: null, biasBatch: 1, biasHeads: 1, shift: 1 },
  ...{ scoreMultiplier: new Int32Array(12), multiplier: new Int32Array(768) },
});

const programOf = (ops: Op[]): Program => ({ input: INPUT, ops, output: ops.length });

describe('the work of one image', () => {
  test('multiply-accumulates, and sixteen for each element and each score', () => {
    expect(workOf(programOf([linear(5, 7, 11)]))).toBe(5 * 7 * 11 + 16 * 5 * 11);
    expect(workOf(programOf([attention(2, 10)]))).toBe(2 * 12 * 100 * 128 + 16 * (2 * 10 * 768 + 2 * 12 * 100));
  });

  test('SAM-B at 1024 × 1024 could be forty times as large', () => {
    // Twelve blocks of 4096 tokens of 768 channels; attention in windows of 14 × 14, in four blocks of all tokens.
    const block = [
      linear(4096, 768, 3 * 768),
      linear(4096, 768, 768),
      linear(4096, 768, 3072),
      linear(4096, 3072, 768),
    ];
    const blocks = Array.from({ length: 12 }, (_, i) => [
      ...block,
      i % 3 === 2 ? attention(1, 4096) : attention(25, 196),
    ]);
    const work = workOf(programOf(blocks.flat()));
    expect(work).toBeGreaterThan(3.6e11);
    expect(40 * work).toBeLessThan(MAX_WORK);
    expect(() => checkWork(programOf(blocks.flat()))).not.toThrow();
  });

  test('more than the limit is refused', () => {
    const most = linear(2 ** 14, 2 ** 15 - 16, 2 ** 16);
    expect(() => checkWork(programOf([most]))).not.toThrow();
    expect(() => checkWork(programOf([most, linear(1, 1, 1)]))).toThrow(InputError);
    expect(() => checkWork(programOf([most, linear(1, 1, 1)]))).toThrow(/35184372088849 steps for one image/);
  });
});
