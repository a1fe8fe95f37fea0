/** All that can run a program here, to be compared: every backend with each of its instruction sets. */
import type { MemoryOptions } from '../program/budget.js';
import type { Program } from '../program/types.js';
import { compileWasm, loadNativeKernels } from './load.js';
import { WASM_ISAS } from './wasm-module.js';
import { createNativeEngine, type NativeKernels } from './native.js';
import type { Engine } from './types.js';
import { createWasmEngine } from './wasm-engine.js';

export interface EngineKind {
  /** Backend and instruction set. */
  readonly name: string;
  create(program: Program, threads: number, options?: MemoryOptions): Engine;
}

/** Every engine but the reference. */
export async function everyEngine(): Promise<EngineKind[]> {
  const kinds: EngineKind[] = [];
  const kernels = tryNative();
  for (const isa of kernels?.isas() ?? [])
    kinds.push({
      name: `native ${isa}`,
      create: (program, threads, options) => createNativeEngine(kernels!, program, threads, isa, options),
    });
  for (const isa of WASM_ISAS) {
    const module = await compileWasm(isa).catch(() => null);
    if (module === null) continue;
    kinds.push({
      name: `wasm ${isa}`,
      create: (program, threads, options) => createWasmEngine(module, program, threads, options),
    });
  }
  return kinds;
}

function tryNative(): NativeKernels | null {
  try {
    return loadNativeKernels();
  } catch {
    return null;
  }
}
