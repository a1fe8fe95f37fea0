import { availableParallelism } from 'node:os';
import type { Program } from '../program/types.js';
import { makeOnBackend } from './backends.js';
import { loadNativeKernels, loadWasmModule } from './load.js';
import { createNativeEngine } from './native.js';
import { createReferenceEngine } from './reference.js';
import type { Engine, EngineOptions } from './types.js';
import { createWasmEngine } from './wasm-engine.js';

/**
 * Makes a program ready to run: weights packed, memory laid out.
 *
 * @param program one that `validateProgram` and `proveBounds` have passed
 * @throws InputError where the backend asked for, or any, does not load
 */
export function createEngine(program: Program, { backend, threads = availableParallelism() }: EngineOptions = {}): Promise<Engine> {
  return makeOnBackend(backend, {
    native: () => {
      const kernels = loadNativeKernels();
      return () => createNativeEngine(kernels, program, threads);
    },
    wasm: async () => {
      const module = await loadWasmModule();
      return () => createWasmEngine(module, program, threads);
    },
    reference: () => () => createReferenceEngine(program),
  });
}
