import { setFlagsFromString } from 'node:v8';
import { describe, expect, it } from 'vitest';
import { compileWasm } from '../../src/engine/load.js';
import { Data } from './random-ops.js';

/** (func (export "f")): v128 at 48 = i32x4.relaxed_dot_i8x16_i7x16_add_s of those at 0, 16 and 32. */
const DOT = Uint8Array.of(
  0,
  97,
  115,
  109,
  1,
  0,
  0,
  0,
  1,
  4,
  1,
  96,
  0,
  0,
  3,
  2,
  1,
  0,
  5,
  3,
  1,
  0,
  1,
  7,
  9,
  2,
  1,
  109,
  2,
  0,
  1,
  102,
  0,
  0,
  10,
  31,
  1,
  29,
  0,
  65,
  0,
  65,
  0,
  253,
  0,
  4,
  0,
  65,
  0,
  253,
  0,
  4,
  16,
  65,
  0,
  253,
  0,
  4,
  32,
  253,
  147,
  2,
  253,
  11,
  4,
  48,
  11,
);

/** Whether this engine's product is exact for weights of 8 bits and all codes, as unsigned or as signed numbers. */
function isExact(codesOf: (memory: ArrayBuffer) => Uint8Array | Int8Array): boolean {
  const { m, f } = new WebAssembly.Instance(new WebAssembly.Module(DOT)).exports as {
    m: WebAssembly.Memory;
    f: () => void;
  };
  const weights = new Int8Array(m.buffer, 0, 16);
  const codes = codesOf(m.buffer);
  const [sums, results] = [new Int32Array(m.buffer, 32, 4), new Int32Array(m.buffer, 48, 4)];
  const data = new Data(1);
  for (let round = 0; round < 2000; round++) {
    const pick = (values: readonly number[]) => values[data.integer(0, values.length - 1)];
    weights.forEach((_, i) => (weights[i] = pick([-127, -1, 0, 1, 127])));
    codes.forEach((_, i) => (codes[i] = pick([0, 1, 127, 128, 129, 255])));
    sums.forEach((_, i) => (sums[i] = data.integer(-(2 ** 30), 2 ** 30)));
    f();
    for (let lane = 0; lane < 4; lane++) {
      let sum = sums[lane];
      for (let i = 4 * lane; i < 4 * lane + 4; i++) sum += weights[i] * codes[i];
      if (results[lane] !== sum) return false;
    }
  }
  return true;
}

describe('the module with relaxed SIMD', () => {
  it('is used where the engine computes its product exactly, and nowhere else', async () => {
    // Engines that still hide the instruction may compute it wrongly: the kernels must find that out.
    if (!WebAssembly.validate(DOT)) setFlagsFromString('--experimental-wasm-relaxed-simd');
    const exact =
      WebAssembly.validate(DOT) &&
      (isExact((memory) => new Uint8Array(memory, 16, 16)) || isExact((memory) => new Int8Array(memory, 16, 16)));
    expect((await compileWasm('relaxed-dot')) !== null).toBe(exact);
  });
});
