import { readFile } from 'node:fs/promises';

/** Compiles the kernels that native/build-wasm.mjs built; the rest of the engine knows nothing of files. */
export async function loadWasmModule(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await readFile(new URL('../../dist/ivit.wasm', import.meta.url)));
}
