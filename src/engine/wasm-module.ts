/** Which of the compiled kernels an engine runs. Where their bytes come from is the caller's: a file, or a URL. */

/** The instruction sets that native/build-wasm.mjs compiles modules for, best first. */
export const WASM_ISAS = ['relaxed-dot', 'simd128'] as const;
export type WasmIsa = (typeof WASM_ISAS)[number];

/** Reads a module's bytes. */
export type ReadWasm = (isa: WasmIsa) => Promise<Uint8Array>;

/** The fastest kernels that this engine runs. */
export async function compileFastest(read: ReadWasm): Promise<WebAssembly.Module> {
  for (const isa of WASM_ISAS) {
    const module = await compileUsable(isa, read);
    if (module !== null) return module;
  }
  throw new Error('This JavaScript engine has no WebAssembly SIMD');
}

/** @returns null where this engine lacks an instruction, or does not compute exactly what the kernels need */
export async function compileUsable(isa: WasmIsa, read: ReadWasm): Promise<WebAssembly.Module | null> {
  const bytes = await read(isa);
  if (!WebAssembly.validate(bytes)) return null;
  const [module, { isaOf }] = await Promise.all([WebAssembly.compile(bytes), import('./wasm.js')]);
  return isaOf(module) === isa ? module : null;
}
