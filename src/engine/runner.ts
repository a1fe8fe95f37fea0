import type { BackendName, OpRunner } from './types.js';
import { loadWasmModule } from './load-wasm.js';
import { createReferenceRunner } from './reference.js';
import { createWasmRunner } from './wasm.js';

/**
 * A runner of single ops.
 *
 * @param backend default: the fastest that loads
 */
export async function createOpRunner(backend: BackendName = 'wasm'): Promise<OpRunner> {
  return backend === 'wasm' ? createWasmRunner(await loadWasmModule()) : createReferenceRunner();
}
