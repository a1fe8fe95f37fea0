import type { BackendName, OpRunner } from './types.js';
import { loadBackend } from './backends.js';
import { loadNativeKernels, loadWasmModule } from './load.js';
import { createNativeRunner } from './native.js';
import { createReferenceRunner } from './reference.js';
import { createWasmRunner } from './wasm.js';

/**
 * A runner of single ops.
 *
 * @param backend default: the fastest that loads
 * @throws InputError where that backend, or any, does not load
 */
export async function createOpRunner(backend?: BackendName): Promise<OpRunner> {
  const create = await loadBackend<() => OpRunner>(backend, {
    native: () => {
      const kernels = loadNativeKernels();
      return () => createNativeRunner(kernels);
    },
    wasm: async () => {
      const module = await loadWasmModule();
      return () => createWasmRunner(module);
    },
    reference: () => createReferenceRunner,
  });
  return create();
}
