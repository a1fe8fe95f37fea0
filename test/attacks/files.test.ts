/** Files that were made to do harm, or found by fuzzing: what each is, and what must happen. */
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { createReferenceEngine } from '../../src/engine/reference.js';
import { createWasmEngine } from '../../src/engine/wasm-engine.js';
import { createNativeEngine } from '../../src/engine/native.js';
import type { Engine } from '../../src/engine/types.js';
import { InputError } from '../../src/errors.js';
import { loadModel } from '../../src/program/file.js';
import type { Program } from '../../src/program/types.js';
import { NATIVE, WASM } from '../engine/backends.js';

const file = (name: string) => path.join(import.meta.dirname, 'ivit', `${name}.ivit`);

describe('.ivit files that are refused, in little time and memory', () => {
  test.each<[name: string, what: string, reason: RegExp]>([
    ['arena-past-32-bits', '5 kB whose values take 4.8 GB, past 2^32', /takes 5033278024 bytes of memory beyond/],
    ['wide-row', '1.7 kB whose one row of 2.5·10^8 columns takes 8 GB of workspace', /bytes of memory beyond/],
    ['many-patches-down', 'more patches than an image has pixels', /outSize is 21845, not an integer within 1 to 8192/],
    ['lowest-multiplier', 'a multiplier of −2^31, whose magnitude wraps', /multiplier\[0\] is the most negative/],
    ['lowest-offset', 'an offset of −2^63', /offset\[0\] is the most negative/],
    ['lowest-bias', 'a bias of −2^31 on 16-bit inputs', /bias\[0\] is the most negative/],
    ['lowest-score-multiplier', 'a score multiplier of −2^31', /scoreMultiplier\[0\] is the most negative/],
  ])('%s: %s', async (name, _, reason) => {
    await expect(loadModel(file(name))).rejects.toThrow(reason);
    await expect(loadModel(file(name))).rejects.toThrow(InputError);
  });

  test.each<[name: string, what: string]>([
    ['many-patches', '1.6 kB of 2^26 patches of one pixel'],
    ['many-logits', '1.2 kB of 2·10^8 logits'],
  ])('%s: %s, which take more than the memory allowed', async (name) => {
    await expect(loadModel(file(name), { maxMemory: 2 ** 28 })).rejects.toThrow(/bytes of memory beyond/);
  });

  test('an engine counts its own memory: the blocks, and the contexts of all threads', async () => {
    const { program } = await loadModel(file('many-logits'));
    for (const [, create] of engines(2)) expect(() => create(program)).toThrow(InputError);
  });
});

describe('.ivit files that are accepted: every backend gives the same logits', () => {
  test.each<[name: string, what: string]>([
    ['lowest-scores-1', 'all scores of a query clamp at the lowest value; the keys past the last one weigh nothing'],
    ['lowest-scores-2', 'the same in another shape'],
  ])('%s: %s', async (name) => {
    const { program } = await loadModel(file(name));
    const { height, width, channels } = program.input;
    const images = [0, 255, 131].map((step) =>
      Uint8Array.from({ length: height * width * channels }, (_, i) => (step === 131 ? i * step : step)),
    );
    const expected = await createReferenceEngine(program).runAll(images);
    for (const [backend, create] of engines(1)) {
      const engine = create(program);
      expect(await engine.runAll(images), backend).toEqual(expected);
      await engine.close();
    }
  });
});

/** Every backend but the reference, and each of its instruction sets. */
function engines(threads: number): [string, (program: Program) => Engine][] {
  return [
    ...WASM.map(({ isa, module }): [string, (program: Program) => Engine] => [
      isa,
      (program) => createWasmEngine(module, program, threads),
    ]),
    ...(NATIVE?.isas() ?? []).map((isa): [string, (program: Program) => Engine] => [
      isa,
      (program) => createNativeEngine(NATIVE!, program, threads, isa),
    ]),
  ];
}
