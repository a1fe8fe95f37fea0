import { describe, expect, it } from 'vitest';
import { WIDE_LIMIT } from '../../src/kernels/dyadic.js';
import { accumulateRow, addWide } from '../../src/kernels/linear.js';
import type { LinearOp } from '../../src/program/types.js';

const layer = (changes: Partial<LinearOp> = {}): LinearOp => ({
  op: 'linear',
  name: 'linear',
  rows: 2,
  cols: 2,
  out: { type: 'i32' },
  x: 1,
  inFeatures: 2,
  weightBits: 8,
  weight: Int8Array.of(3, 4, -5, 6),
  bias: Int32Array.of(10, -10),
  multiplier: Int32Array.of(1, 1),
  shift: 1,
  rowShift: 0,
  residual: null,
  ...changes,
});

describe('accumulateRow', () => {
  it('takes the zero point off: 10 + 2·3 − 1·4 = 12, −10 − 2·5 − 1·6 = −26', () => {
    const acc: number[] = [];
    accumulateRow(layer(), { data: Uint8Array.of(0, 0, 130, 127), zero: 128, rowScale: null }, 1, acc);
    expect(acc).toEqual([12, -26]);
  });

  it("scales a dynamic row's sum, flooring: 10 + ((6·2 + 2) >> 2) = 13, −10 + ((6·−16 + 2) >> 2) = −34", () => {
    const acc: number[] = [];
    accumulateRow(
      layer({ rowShift: 2 }),
      { data: Uint8Array.of(130, 127), zero: 128, rowScale: Int32Array.of(6) },
      0,
      acc,
    );
    expect(acc).toEqual([13, -34]);
  });

  it('takes 16-bit inputs', () => {
    const acc: number[] = [];
    accumulateRow(layer(), { data: Int16Array.of(-32767, 1000), zero: 0, rowScale: null }, 0, acc);
    expect(acc).toEqual([10 - 98301 + 4000, -10 + 163835 + 6000]);
  });
});

describe('addWide', () => {
  it('saturates', () => {
    expect(addWide(WIDE_LIMIT, 1)).toBe(WIDE_LIMIT);
    expect(addWide(-WIDE_LIMIT, -1)).toBe(-WIDE_LIMIT);
    expect(addWide(5, -7)).toBe(-2);
  });
});
