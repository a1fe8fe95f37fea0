import { beforeAll, describe, expect, test } from 'vitest';
import { createReferenceEngine } from '../../../src/engine/reference.js';
import { UsageError } from '../../../src/errors.js';
import { syntheticImage } from '../../../src/images/synthetic/index.js';
import { proveBounds } from '../../../src/program/bounds.js';
import type { AttentionOp, LinearOp, Op, PaperGeluOp } from '../../../src/program/types.js';
import { validateProgram } from '../../../src/program/validate.js';
import { DEFAULT_OPTIONS, quantizeGraph, type QuantizeResult } from '../../../src/quantize/index.js';
import { tinyGraph } from '../../cli/ivit.js';

const graph = tinyGraph(3);
const images = Array.from({ length: 24 }, (_, i) => Uint8Array.from(syntheticImage(16, 16, i).data));
const request = {
  graph,
  images,
  normalization: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  options: { ...DEFAULT_OPTIONS, kernels: 'paper' as const },
};

describe('--kernels paper', () => {
  let result: QuantizeResult;
  beforeAll(async () => {
    result = await quantizeGraph(request);
  });

  const opsOf = <K extends Op['op']>(kind: K) =>
    result.program.ops.filter((op): op is Extract<Op, { op: K }> => op.op === kind);

  test('every norm, activation and softmax is a published kernel', () => {
    expect(opsOf('layerNorm')).toHaveLength(0);
    expect(opsOf('activation')).toHaveLength(0);
    expect(opsOf('paperNorm')).toHaveLength(3);
    expect(opsOf('paperGelu')).toHaveLength(1);
    const attentions = opsOf('attention');
    expect(attentions.map((op) => (op.softmax as { kind: string }).kind)).toEqual(['paper']);
    expect(attentions[0].softmax).toMatchObject({ bits: 16 });
    validateProgram(result.program);
    expect(proveBounds(result.program)).toHaveLength(result.program.ops.length);
  });

  test('every tensor has one 8-bit scale: multipliers differ by weight scales and norm weights only', () => {
    const [attention] = opsOf('attention') as AttentionOp[];
    const [gelu] = opsOf('paperGelu') as PaperGeluOp[];
    for (const op of [attention, gelu]) {
      expect(op.out).toEqual({ type: 'u8', zero: 128 });
      expect(new Set(op.multiplier).size).toBe(1);
    }
    expect([...gelu.offset].every((o) => o === 0n)).toBe(true);
    expect((opsOf('linear') as LinearOp[]).map((op) => result.program.ops[op.x - 1].out.type)).toEqual(
      new Array(6).fill('u8'),
    );
  });

  test('the integer model is near the float one on images held out', async () => {
    expect(result.agreement.images).toBe(3);
    expect(result.agreement.top1Agreement).toBeGreaterThan(0);
    expect(result.agreement.sqnrDb).toBeGreaterThan(10);
    const logits = await createReferenceEngine(result.program).run(images[0]);
    expect(logits).toHaveLength(3);
    expect(new Set(logits).size).toBeGreaterThan(1);
  });

  test('dynamic scales are refused', async () => {
    const options = { ...request.options, scales: 'dynamic' as const };
    await expect(quantizeGraph({ ...request, options })).rejects.toThrow(UsageError);
  });
});
