import { availableParallelism } from 'node:os';
import type { Program } from '../program/types.js';
import { loadBackend } from './backends.js';
import { withLifetime } from './lifetime.js';
import { loadNativeKernels, loadWasmModule } from './load.js';
import type { Engine, EngineOptions } from './types.js';

/**
 * Makes a program ready to run: weights packed, memory laid out.
 *
 * @param program one that `validateProgram` and `proveNoOverflow` have passed
 */
export type EngineFactory = (program: Program) => Engine;

/**
 * Loads a backend, and only the code of the one that runs. Needs no program, so that both can be loaded at a time.
 *
 * @throws InputError where the backend asked for, or any, does not load
 */
export async function loadEngine(options: EngineOptions = {}): Promise<EngineFactory> {
  const { backend, threads = availableParallelism() } = options;
  const create = await loadBackend<EngineFactory>(backend, {
    native: async () => {
      const kernels = loadNativeKernels();
      const { createNativeEngine } = await import('./native.js');
      return (program) => createNativeEngine(kernels, program, threads, null, options);
    },
    wasm: async () => {
      const [module, { createWasmEngine }] = await Promise.all([loadWasmModule(), import('./wasm-engine.js')]);
      return (program) => createWasmEngine(module, program, threads, options);
    },
    reference: async () => {
      const { createReferenceEngine } = await import('./reference.js');
      return createReferenceEngine;
    },
  });
  return (program) => withLifetime(create(program));
}

/** The engine of a program; see `loadEngine` and `EngineFactory`. */
export async function createEngine(program: Program, options: EngineOptions = {}): Promise<Engine> {
  return (await loadEngine(options))(program);
}
