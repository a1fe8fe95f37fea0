import { availableParallelism } from 'node:os';
import type { Program } from '../program/types.js';
import { makeOnBackend } from './backends.js';
import { loadNativeKernels, loadWasmModule } from './load.js';
import type { Engine, EngineOptions } from './types.js';

/**
 * Makes a program ready to run: weights packed, memory laid out. Only the code of the backend that runs is loaded.
 *
 * @param program one that `validateProgram` and `proveBounds` have passed
 * @throws InputError where the backend asked for, or any, does not load
 */
export function createEngine(program: Program, { backend, threads = availableParallelism() }: EngineOptions = {}): Promise<Engine> {
  return makeOnBackend(backend, {
    native: async () => {
      const kernels = loadNativeKernels();
      const { createNativeEngine } = await import('./native.js');
      return () => createNativeEngine(kernels, program, threads);
    },
    wasm: async () => {
      const module = await loadWasmModule();
      const { createWasmEngine } = await import('./wasm-engine.js');
      return () => createWasmEngine(module, program, threads);
    },
    reference: async () => {
      const { createReferenceEngine } = await import('./reference.js');
      return () => createReferenceEngine(program);
    },
  });
}
