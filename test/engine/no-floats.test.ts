import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { instructionsOf } from './wasm-instructions.js';

/** Every instruction that has a float in or out: constants, loads, arithmetic, conversions, f32x4 and f64x2. */
function isFloat(name: string): boolean {
  return /f32|f64/.test(name);
}

describe('the WebAssembly kernels', () => {
  const instructions = instructionsOf(readFileSync(new URL('../../dist/ivit.wasm', import.meta.url)));

  it('are decoded to the last byte', () => {
    expect(instructions.size).toBeGreaterThan(60);
    expect(instructions.get('i32x4.dot_i16x8_s')).toBeGreaterThan(8);
  });

  it('have no floating-point instruction', () => {
    expect([...instructions.keys()].filter(isFloat)).toEqual([]);
  });

  it('would be caught if they had one', () => {
    // (func (param f32) (result f32) local.get 0 local.get 0 f32.add)
    const module = Uint8Array.of(
      0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 125, 1, 125, 3, 2, 1, 0, 10, 9, 1, 7, 0, 32, 0, 32, 0, 146, 11,
    );
    expect([...instructionsOf(module).keys()].filter(isFloat)).toEqual(['f32.add']);
  });
});
