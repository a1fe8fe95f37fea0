import { loadNativeKernels, loadWasmModule } from '../../src/engine/load.js';
import { createNativeRunner, nativeIsas } from '../../src/engine/native.js';
import type { NativeKernels } from '../../src/engine/native.js';
import type { OpRunner } from '../../src/engine/types.js';
import { createWasmRunner } from '../../src/engine/wasm.js';

function tryNative(): NativeKernels | null {
  try {
    return loadNativeKernels();
  } catch (error) {
    console.warn(`No native kernels here, so they are not tested: ${(error as Error).message.split('\n', 1)[0]}`);
    return null;
  }
}

/** The WebAssembly kernels, compiled. */
export const WASM = await loadWasmModule();
/** The add-on, null where it could not be built. */
export const NATIVE = tryNative();

/** Every implementation but the reference: WebAssembly, and each instruction set of this machine. */
export const RUNNERS: readonly { name: string; runner: OpRunner }[] = [
  { name: 'wasm', runner: createWasmRunner(WASM) },
  ...(NATIVE === null ? [] : nativeIsas(NATIVE).map((isa) => ({ name: `native ${isa}`, runner: createNativeRunner(NATIVE, isa) }))),
];
