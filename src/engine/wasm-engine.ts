import type { MemoryOptions } from '../program/budget.js';
import type { Program } from '../program/types.js';
import { Batcher } from './batcher.js';
import { workOfProgram } from './plan/index.js';
import type { Engine } from './types.js';
import { checkOperands, imageData } from './values.js';
import { WasmProgram } from './wasm.js';
import { WasmPool } from './wasm-pool.js';

/**
 * Runs a program in WebAssembly: an image that comes alone on the calling thread, images that come together on
 * `threads` worker threads, which start when they are first needed.
 */
export function createWasmEngine(
  module: WebAssembly.Module,
  program: Program,
  threads: number,
  options: MemoryOptions = {},
): Engine {
  const work = workOfProgram(program);
  const loaded = new WasmProgram(module, work, { ...options, workers: threads > 1 ? threads : 0 });
  let pool: WasmPool | null = null;
  const runAll = async (images: readonly Uint8Array[]): Promise<Int32Array[]> => {
    if (threads === 1 || images.length === 1) {
      return images.map((pixels) => loaded.run([imageData(pixels)]).data as Int32Array);
    }
    for (const pixels of images) checkOperands(work.inputs, [imageData(pixels)]);
    const { run } = (pool ??= new WasmPool(loaded.snapshot(), threads));
    return Promise.all(images.map(run));
  };
  const batcher = new Batcher(runAll);
  return {
    backend: 'wasm',
    isa: loaded.isa,
    threads,
    run: (pixels) => batcher.run(pixels),
    runAll,
    close: async () => pool?.close(),
  };
}
