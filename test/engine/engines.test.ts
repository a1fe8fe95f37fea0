import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEIT_TINY, syntheticImage, syntheticVit } from '../../tools/measure/synthetic-vit.js';
import { createEngine } from '../../src/engine/engine.js';
import { createNativeEngine } from '../../src/engine/native.js';
import type { NativeKernels } from '../../src/engine/native.js';
import { createReferenceEngine } from '../../src/engine/reference.js';
import type { Engine } from '../../src/engine/types.js';
import { createWasmEngine } from '../../src/engine/wasm-engine.js';
import { proveBounds } from '../../src/program/bounds.js';
import type { Program } from '../../src/program/types.js';
import { validateProgram } from '../../src/program/validate.js';
import { NATIVE, WASM } from './backends.js';
import { Data } from './random-ops.js';
import { anyProgram } from './random-programs.js';

type MakeEngine = (program: Program) => Engine | Promise<Engine>;

/** Every engine but the reference. */
const ENGINES: readonly (readonly [string, MakeEngine])[] = [
  ...WASM.map(
    ({ isa, module }) => [`wasm ${isa}, 1 thread`, (program: Program) => createWasmEngine(module, program, 1)] as const,
  ),
  ...(NATIVE === null ? [] : nativeEngines(NATIVE)),
];

function nativeEngines(kernels: NativeKernels): [string, MakeEngine][] {
  return kernels
    .isas()
    .flatMap((isa) =>
      [1, 2, 3].map((threads): [string, MakeEngine] => [
        `native ${isa}, ${threads} threads`,
        (program) => createNativeEngine(kernels, program, threads, isa),
      ]),
    );
}

function imagesFor({ input }: Program, count: number): Uint8Array[] {
  const data = new Data(count);
  return Array.from({ length: count }, () =>
    data.fill(new Uint8Array(input.height * input.width * input.channels), 0, 255, 16),
  );
}

describe.each(ENGINES)('%s', (_, make) => {
  it('equals the reference on random programs, one image and several', async () => {
    await fc.assert(
      fc.asyncProperty(anyProgram, async (program) => {
        validateProgram(program);
        proveBounds(program);
        const images = imagesFor(program, 3);
        const expected = await createReferenceEngine(program).runAll(images);
        const engine = await make(program);
        expect(await engine.run(images[0])).toEqual(expected[0]);
        expect(await engine.runAll(images)).toEqual(expected);
        await engine.close();
      }),
      { numRuns: 60 },
    );
  });

  it('refuses an image of another size', async () => {
    const program = syntheticVit({ ...DEIT_TINY, imageSize: 32, width: 12, hidden: 8, depth: 1, classes: 3 });
    const engine = await make(program);
    await expect(engine.run(new Uint8Array(7))).rejects.toThrow(
      'Expected Uint8Array of 3072 for operand 0 but received Uint8Array of 7',
    );
    await expect(engine.runAll([new Uint8Array(7), new Uint8Array(7)])).rejects.toThrow(RangeError);
    await engine.close();
  });

  it.each(['static', 'dynamic'] as const)('equals the reference on a small ViT with %s scales', async (scales) => {
    const program = syntheticVit({
      ...DEIT_TINY,
      imageSize: 64,
      width: 48,
      hidden: 100,
      depth: 2,
      classes: 10,
      scales,
    });
    validateProgram(program);
    proveBounds(program);
    const images = [1, 2, 3, 4, 5].map((seed) => syntheticImage(program, seed));
    const expected = await createReferenceEngine(program).runAll(images);
    expect(new Set(expected.map(String)).size).toBe(images.length);
    const engine = await make(program);
    expect(await engine.runAll(images)).toEqual(expected);
    expect(await Promise.all(images.map((image) => engine.run(image)))).toEqual(expected);
    await engine.close();
  });
});

describe.each(WASM)('wasm $isa on 2 worker threads', ({ module }) => {
  const program = syntheticVit({ ...DEIT_TINY, imageSize: 64, width: 48, hidden: 100, depth: 2, classes: 10 });
  const images = [1, 2, 3, 4, 5].map((seed) => syntheticImage(program, seed));

  it('equals the reference, in order', async () => {
    const expected = await createReferenceEngine(program).runAll(images);
    const engine = createWasmEngine(module, program, 2);
    expect(await engine.run(images[0])).toEqual(expected[0]);
    expect(await engine.runAll(images)).toEqual(expected);
    expect(await Promise.all(images.map((image) => engine.run(image)))).toEqual(expected);
    await engine.close();
  });
});

describe('createEngine', () => {
  const program = syntheticVit({ ...DEIT_TINY, imageSize: 32, width: 12, hidden: 8, depth: 1, classes: 3 });

  it.each(['native', 'wasm', 'reference'] as const)('makes the backend asked for: %s', async (backend) => {
    if (backend === 'native' && NATIVE === null) return;
    const engine = await createEngine(program, { backend, threads: 1 });
    expect(engine.backend).toBe(backend);
    await engine.close();
  });

  it('takes the fastest that loads', async () => {
    const engine = await createEngine(program);
    expect(engine.backend).toBe(NATIVE === null ? 'wasm' : 'native');
    await engine.close();
  });
});
