import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.js';
import { proveBounds } from '../../src/program/bounds.js';
import { describeProgram } from '../../src/program/describe.js';
import { decodeModel, encodeModel } from '../../src/program/model.js';
import type { Op, Output, Program } from '../../src/program/types.js';
import { validateProgram } from '../../src/program/validate.js';
import { outputsByDefault } from '../../src/program/output.js';
import { tinyModel } from './tiny.js';

const COLS = 2;
const requantization = { multiplier: new Int32Array(COLS).fill(1), offset: new BigInt64Array(COLS), shift: 1 };
const geometry = {
  size: [2, 3] as const,
  kernel: [3, 3] as const,
  stride: [1, 1] as const,
  pad: [1, 1] as const,
  dilation: [1, 1] as const,
  outSize: [2, 3] as const,
};
const words: Output = { type: 'i16' };
const wide: Output = { type: 'i32' };

/** Every op on a map of 2×3 pixels of 2 channels, each on what it reads. */
const OPS: readonly Op[] = [
  { op: 'constant', name: 'map', rows: 6, cols: COLS, out: wide, data: new Int32Array(12) },
  { op: 'rescale', name: 'words', rows: 6, cols: COLS, out: words, x: 1, ...requantization },
  { op: 'windows', name: 'windows', rows: 6, cols: 9 * COLS, out: words, x: 2, ...geometry },
  {
    ...{ op: 'depthwise', name: 'depthwise', rows: 6, cols: COLS, out: words, x: 2, ...geometry },
    weight: new Int16Array(9 * COLS).fill(7000),
    ...requantization,
  },
  { op: 'maxPool', name: 'maxPool', rows: 6, cols: COLS, out: words, x: 4, ...geometry },
  {
    ...{ op: 'mixRows', name: 'mixRows', rows: 2, cols: COLS, out: wide, x: 1, taps: 3 },
    index: Int32Array.of(0, 1, -1, 3, 4, 5),
    weight: new Int16Array(6).fill(-100),
    ...requantization,
  },
  {
    ...{ op: 'groupNorm', name: 'groupNorm', rows: 6, cols: COLS, out: wide, x: 5, groups: 2, epsilon: 3n },
    ...requantization,
  },
];

const programOf = (ops: readonly Op[]): Program => ({
  input: { height: 8, width: 8, channels: 3 },
  ops,
  output: ops.length,
});

function refusalOf(name: string, fields: object): string {
  const program = programOf(OPS.map((op) => (op.name === name ? ({ ...op, ...fields } as Op) : op)));
  try {
    validateProgram(program);
    proveBounds(program);
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return (error as Error).message;
  }
  return 'none';
}

test('the ops are valid, cannot overflow, and are told of', () => {
  const program = programOf(OPS);
  validateProgram(program);
  expect(proveBounds(program)).toEqual([
    0n,
    2n ** 24n - 1n,
    0n,
    63000n * 32767n,
    0n,
    300n * (2n ** 24n - 1n),
    2n ** 30n,
  ]);
  const described = describeProgram(program);
  expect(described.map(({ macs }) => macs)).toEqual([0, 0, 0, 6 * 9 * COLS, 0, 6 * COLS, 0]);
  expect(described[3].parameters).toBe(9 * COLS + COLS);
});

test('a file holds them', () => {
  const program = programOf(OPS);
  const model = { ...tinyModel(), program, outputs: outputsByDefault(program), labels: null };
  const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  expect(decodeModel(encodeModel(model, sha256), sha256).program).toEqual(program);
});

describe('a map op is refused', () => {
  test.each<[string, object, string]>([
    ['windows', { cols: 17 }, '17 columns do not hold 9 taps'],
    ['windows', { size: [3, 3] }, 'x has 12 elements, which are no map of 3×3 for 18 columns'],
    ['windows', { outSize: [2, 2] }, '2×2 windows are not 6 rows'],
    ['windows', { stride: [0, 1] }, 'stride is 0'],
    ['windows', { dilation: [1, 16385] }, 'dilation is 16385, not an integer within 1 to 16384'],
    ['windows', { out: wide }, 'it writes i32, not i16'],
    ['depthwise', { x: 1 }, 'x has type i32, not i16'],
    ['depthwise', { weight: new Int16Array(17) }, 'weight has 17 elements, not 18'],
    ['depthwise', { weight: new Int16Array(18).fill(-32768) }, 'weight[0] is the most negative integer'],
    ['depthwise', { weight: new Int16Array(18).fill(7300) }, 'channel 0 can reach 2152791900, which overflows 31 bits'],
    ['maxPool', { pad: [3, 1] }, 'a window of it lies outside the map'],
    ['maxPool', { pad: [1, 1], dilation: [1, 4], kernel: [3, 2] }, 'a window of it lies outside the map'],
    ['mixRows', { index: Int32Array.of(0, 1, -1, 3, 4, 6) }, 'it reads row 6, outside its source'],
    ['mixRows', { index: Int32Array.of(0, 1, -2, 3, 4, 5) }, 'it reads row -2, outside its source'],
    ['mixRows', { taps: 2 }, 'index has 6 elements, not 4'],
    ['groupNorm', { groups: 3 }, '2 columns are no 3 groups of as many'],
    ['groupNorm', { x: 1 }, 'x has type i32, not i16'],
    ['groupNorm', { epsilon: -1n }, 'epsilon is -1'],
  ])('%s with %o', (name, fields, reason) => {
    expect(refusalOf(name, fields)).toContain(reason);
  });

  test('a weighted sum beyond 53 bits', () => {
    const taps = 17000;
    const fields = { taps, index: new Int32Array(2 * taps), weight: new Int16Array(2 * taps).fill(32767) };
    expect(refusalOf('mixRows', fields)).toContain('the weighted sum of rows can reach');
  });
});
