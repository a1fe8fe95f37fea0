/** Small files that would take gigabytes or years: of each op that can. */
import { describe, expect, test } from 'vitest';
import { createReferenceEngine } from '../../src/engine/reference.js';
import { everyEngine } from '../../src/engine/every.js';
import { createWasmEngine } from '../../src/engine/wasm-engine.js';
import { InputError } from '../../src/errors.js';
import { decodeModel } from '../../src/program/model.js';
import { WASM } from '../engine/backends.js';
import { GIANTS, fileOf } from './giants.js';
import { sha256 } from './rehash.js';
import { processorTime } from '../processor-time.js';

/** Whatever memory it takes. */
const ANY = { maxMemory: Number.MAX_SAFE_INTEGER };
const KINDS = Object.keys(GIANTS);

test.each(KINDS)('%s: refused when it is loaded, by memory or work, before anything is allocated', (kind) => {
  const bytes = fileOf(GIANTS[kind](2 ** 13));
  expect(bytes.length).toBeLessThan(6000);
  const before = process.memoryUsage.rss();
  const start = processorTime();
  let refusal: unknown = null;
  try {
    decodeModel(bytes, sha256);
  } catch (error) {
    refusal = error;
  }
  expect(refusal).toBeInstanceOf(InputError);
  expect((refusal as Error).message).toMatch(/takes \d+ (bytes of memory beyond its weights|steps for one image)/);
  expect(processorTime() - start).toBeLessThan(2000);
  expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 2 ** 20);
});

describe.each(WASM)('WebAssembly ($isa), though any memory is allowed', ({ module }) => {
  test.each(['attention of many windows', 'attention of many heads', 'matmul of a transposed matrix'])(
    '%s: refused, as its sizes pass 32 bits, of which a module would see the rest alone',
    (kind) => {
      const program = GIANTS[kind](2 ** 13);
      expect(() => createWasmEngine(module, program, 1, ANY)).toThrow(/bytes of memory, more than the \d+ that Web/);
      expect(() => createWasmEngine(module, program, 1, ANY)).toThrow(InputError);
    },
  );
});

test.each(KINDS)('%s: a small one runs, and alike everywhere', async (kind) => {
  const { program } = decodeModel(fileOf(GIANTS[kind](2 ** 4)), sha256);
  const pixels = [Uint8Array.from({ length: 192 }, (_, i) => (i * 73) & 255)];
  const expected = await createReferenceEngine(program).runAll(pixels);
  for (const { name, create } of await everyEngine()) {
    const engine = create(program, 1);
    expect(await engine.runAll(pixels), name).toEqual(expected);
    await engine.close();
  }
});
