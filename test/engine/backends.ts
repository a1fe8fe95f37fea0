import { compileWasm, loadNativeKernels } from '../../src/engine/load.js';
import { WASM_ISAS, type WasmIsa } from '../../src/engine/wasm-module.js';
import { createNativeRunner } from '../../src/engine/native.js';
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

async function compileAll(): Promise<{ isa: WasmIsa; module: WebAssembly.Module }[]> {
  const compiled = await Promise.all(WASM_ISAS.map(async (isa) => ({ isa, module: await compileWasm(isa) })));
  return compiled.filter((kernels) => kernels.module !== null) as { isa: WasmIsa; module: WebAssembly.Module }[];
}

/** The WebAssembly kernels that this engine runs, compiled, best first. */
export const WASM = await compileAll();
/** The add-on, null where it could not be built. */
export const NATIVE = tryNative();

/** Every implementation but the reference: WebAssembly, and each instruction set of this machine. */
export const RUNNERS: readonly { name: string; runner: OpRunner }[] = [
  ...WASM.map(({ isa, module }) => ({ name: `wasm ${isa}`, runner: createWasmRunner(module) })),
  ...(NATIVE === null
    ? []
    : NATIVE.isas().map((isa) => ({ name: `native ${isa}`, runner: createNativeRunner(NATIVE, isa) }))),
];
