import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { NativeKernels } from './native.js';

/**
 * Where the build puts the kernels, seen from this file and from its compiled form alike. The rest of the engine knows
 * nothing of files.
 */
const WASM = new URL('../../dist/ivit.wasm', import.meta.url);
const ADDON = new URL('../../native/build/Release/ivit.node', import.meta.url);

/** Compiles the kernels that native/build-wasm.mjs built. */
export async function loadWasmModule(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await readFile(WASM));
}

/** Loads the add-on that native/build-addon.mjs built. @throws where there is none, or none for this Node */
export function loadNativeKernels(): NativeKernels {
  return createRequire(import.meta.url)(ADDON.pathname) as NativeKernels;
}
