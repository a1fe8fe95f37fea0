import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { instructionsOf } from './wasm-instructions.js';

/** Every instruction that has a float in or out: constants, loads, arithmetic, conversions, f32x4 and f64x2. */
function isFloat(name: string): boolean {
  return /f32|f64/.test(name);
}

const RELAXED = /relaxed/;
const PRODUCTS = { 'ivit.wasm': 'i32x4.dot_i16x8_s', 'ivit-relaxed.wasm': 'i32x4.relaxed_dot_i8x16_i7x16_add_s' };

describe.each(Object.entries(PRODUCTS))('the kernels in %s', (file, product) => {
  const instructions = instructionsOf(readFileSync(new URL(`../../dist/${file}`, import.meta.url)));

  it('are decoded to the last byte', () => {
    expect(instructions.size).toBeGreaterThan(60);
    expect(instructions.get(product)).toBeGreaterThan(8);
  });

  it('have no floating-point instruction', () => {
    expect([...instructions.keys()].filter(isFloat)).toEqual([]);
  });

  it('have no relaxed instruction but the product, whose result is checked when they are loaded', () => {
    expect([...instructions.keys()].filter((name) => RELAXED.test(name) && name !== product)).toEqual([]);
  });
});

describe('instructionsOf', () => {
  it('finds a floating-point instruction', () => {
    // (func (param f32) (result f32) local.get 0 local.get 0 f32.add)
    const module = Uint8Array.of(
      0,
      97,
      115,
      109,
      1,
      0,
      0,
      0,
      1,
      6,
      1,
      96,
      1,
      125,
      1,
      125,
      3,
      2,
      1,
      0,
      10,
      9,
      1,
      7,
      0,
      32,
      0,
      32,
      0,
      146,
      11,
    );
    expect([...instructionsOf(module).keys()].filter(isFloat)).toEqual(['f32.add']);
  });
});
