import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { NativeKernels } from './native.js';

/** The instruction sets that native/build-wasm.mjs compiles modules for, best first. */
export const WASM_ISAS = ['relaxed-dot', 'simd128'] as const;
export type WasmIsa = (typeof WASM_ISAS)[number];

/**
 * Where the build puts the kernels, seen from this file and from its compiled form alike. The rest of the engine knows
 * nothing of files.
 */
const WASM: Readonly<Record<WasmIsa, URL>> = {
  'relaxed-dot': new URL('../../dist/ivit-relaxed.wasm', import.meta.url),
  simd128: new URL('../../dist/ivit.wasm', import.meta.url),
};
const ADDON = new URL('../../native/build/Release/ivit.node', import.meta.url);

/** Compiles the fastest kernels of native/build-wasm.mjs that this engine runs. */
export async function loadWasmModule(): Promise<WebAssembly.Module> {
  for (const isa of WASM_ISAS) {
    const module = await compileWasm(isa);
    if (module !== null) return module;
  }
  throw new Error('This JavaScript engine has no WebAssembly SIMD');
}

/** @returns null where this engine lacks an instruction, or does not compute exactly what the kernels need */
export async function compileWasm(isa: WasmIsa): Promise<WebAssembly.Module | null> {
  const bytes = await readFile(WASM[isa]);
  if (!WebAssembly.validate(bytes)) return null;
  const [module, { isaOf }] = await Promise.all([WebAssembly.compile(bytes), import('./wasm.js')]);
  return isaOf(module) === isa ? module : null;
}

/** Loads the add-on that native/build-addon.mjs built. @throws where there is none, or none for this Node */
export function loadNativeKernels(): NativeKernels {
  return createRequire(import.meta.url)(ADDON.pathname) as NativeKernels;
}
