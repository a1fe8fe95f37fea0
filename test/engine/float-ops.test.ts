import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createNativeEngine, createNativeRunner } from '../../src/engine/native.js';
import { createReferenceEngine, runOp } from '../../src/engine/reference.js';
import { createWasmRunner } from '../../src/engine/wasm.js';
import { createWasmEngine } from '../../src/engine/wasm-engine.js';
import { InputError } from '../../src/errors.js';
import type { Op } from '../../src/program/types.js';
import { tinyFloatProgram } from '../program/tiny.js';
import { NATIVE, WASM } from './backends.js';
import { attentionCase, ibertGeluCase, layerNormCase, type OpCase } from './random-ops.js';

/** Cases of the ops of integers that have the same fields. */
const CASES: Readonly<Record<string, fc.Arbitrary<OpCase>>> = {
  floatNorm: layerNormCase.map((c) => ({ ...c, op: { ...c.op, op: 'floatNorm' } as Op })),
  floatGelu: ibertGeluCase.map((c) => ({ ...c, op: { ...c.op, op: 'floatGelu' } as Op })),
  attention: attentionCase
    .filter(({ op }) => op.op === 'attention' && typeof op.softmax !== 'string' && op.softmax.kind === 'ibert')
    .map((c) => ({ ...c, op: { ...c.op, softmax: { kind: 'float', bits: 16 } } as Op })),
};

const pixels = Uint8Array.from({ length: 8 * 8 * 3 }, (_, i) => (i * 37) % 256);

describe.skipIf(NATIVE === null)('native kernels in float32 equal the reference on every bit', () => {
  test.each(Object.entries(CASES))('%s', (_, cases) => {
    const runner = createNativeRunner(NATIVE!);
    fc.assert(
      fc.property(cases, (c) => {
        const loaded = runner.load(c.op, c.operands, c.input);
        const expected = runOp(c.op, c.operands, c.input);
        const { data, rowScale } = loaded.run(c.operands);
        expect(Array.from(data)).toEqual(Array.from(expected.data));
        expect(rowScale).toEqual(expected.rowScale);
        loaded.free();
      }),
      { numRuns: 150 },
    );
  });

  test('a program on every instruction set', async () => {
    const program = tinyFloatProgram();
    const expected = await createReferenceEngine(program).run(pixels);
    for (const isa of NATIVE!.isas()) {
      const engine = createNativeEngine(NATIVE!, program, 1, isa, {});
      expect(await engine.run(pixels), isa).toEqual(expected);
      await engine.close();
    }
  });
});

test('WebAssembly refuses them, by name', () => {
  const [{ module }] = WASM;
  const refusal = /not integer-only: .* in op "norm1"; WebAssembly has integer kernels alone/;
  expect(() => createWasmEngine(module, tinyFloatProgram(), 1)).toThrow(refusal);
  const [{ op, operands, input }] = fc.sample(CASES['floatGelu'], 1);
  expect(() => createWasmRunner(module).load(op, operands, input)).toThrow(InputError);
});
