import { beforeAll, describe, expect, test } from 'vitest';
import { createReferenceRunner } from '../../../src/engine/reference.js';
import type { OpRunner } from '../../../src/engine/types.js';
import type { LinearOp, Op } from '../../../src/program/types.js';
import { ProgramBuilder } from '../../../src/quantize/build/program-builder.js';
import { uniformScales } from '../../../src/quantize/decide/encoding.js';
import type { ValueEncodings } from '../../../src/quantize/decide/value-encodings.js';

const input = { height: 2, width: 2, channels: 1 };
const images = [Uint8Array.of(1, 2, 3, 4), Uint8Array.of(5, 6, 7, 8)];
/** Every value in 16 bits, steps of 1/4 of the residual stream's. */
const encodings = {
  wideScale: () => 0.25,
  target: (_id: string, _form: string, cols: number) => ({ out: { type: 'i16' }, ...uniformScales(cols, 0.0625) }),
} as unknown as ValueEncodings;

const patches = {
  op: 'patches',
  name: 'patches',
  rows: 4,
  cols: 1,
  out: { type: 'u8', zero: 0 },
  ...{ kernel: [1, 1], stride: [1, 1], pad: [0, 0], dilation: [1, 1], outSize: [2, 2] },
} as const satisfies Op;

const linear = (x: number, weight: Int8Array): LinearOp => ({
  ...{ op: 'linear', name: 'fc', rows: 4, cols: 1, out: { type: 'i32' }, x, inFeatures: 1, weightBits: 8, weight },
  ...{ bias: new Int32Array(1), multiplier: Int32Array.of(2), shift: 1, rowShift: 0, residual: null },
});

let builder: ProgramBuilder;
beforeAll(() => {
  builder = new ProgramBuilder(input, images, createReferenceRunner(), encodings);
});

describe('a program under construction', () => {
  test('runs each op on every image as soon as it is made', () => {
    const { value } = builder.emit(patches);
    expect(images.map((_, i) => [...builder.valuesOf(value).of(i).data])).toEqual(images.map((image) => [...image]));
  });

  test('gives ops names that no other has, and ties equal weights', () => {
    const weight = Int8Array.of(3);
    const first = builder.emit(linear(1, weight)).op as LinearOp;
    const second = builder.emit(linear(1, weight)).op as LinearOp;
    const third = builder.emit(linear(1, Int8Array.of(3))).op as LinearOp;
    expect([first, second, third].map(({ name }) => name)).toEqual(['fc', 'fc.2', 'fc.3']);
    expect([first, second, third].map(({ weightsOf }) => weightsOf)).toEqual([undefined, 1, undefined]);
  });

  test('makes the form that a reader needs once, out of the wide one', () => {
    builder.defineWide('node', linear(1, Int8Array.of(2)));
    const before = builder.ops.length;
    const made = builder.inForm('node', 'codes', 1, 'node');
    expect(builder.inForm('node', 'codes', 1, 'node')).toBe(made);
    expect(builder.ops.length).toBe(before + 1);
    expect(builder.ops.at(-1)).toMatchObject({ op: 'rescale', name: 'node.codes' });
    // Steps of a quarter: four times as many.
    expect([...builder.valuesOf(made.value).of(1).data]).toEqual([5, 6, 7, 8].map((p) => 4 * 2 * p));
  });

  test('forgets a value, in all its forms, when nobody reads it any more', () => {
    const { value } = builder.wide('node');
    builder.release('node');
    expect(builder.valuesOf(value)).toBeUndefined();
    expect(builder.has('node', 'codes')).toBe(false);
    expect(() => builder.wide('node')).toThrow(/no wide value/);
  });

  test('cuts windows from values that nobody else reads any more', () => {
    const reference = createReferenceRunner();
    /** Writes to memory that is given, as the native one does. */
    const writer: OpRunner = {
      ...reference,
      load(op, operands, ofInput) {
        const loaded = reference.load(op, operands, ofInput);
        return {
          ...loaded,
          run(values, spare) {
            const result = loaded.run(values);
            if (spare === undefined) return result;
            spare.data.set(result.data);
            return { ...result, data: spare.data };
          },
        };
      },
    };
    const own = new ProgramBuilder(input, images, writer, encodings);
    const { value: pixels } = own.emit(patches);
    own.defineWide('map', linear(pixels, Int8Array.of(3)));
    const { value: map } = own.wide('map');
    const windows = {
      ...{ op: 'windows', name: 'windows', rows: 4, cols: 1, out: { type: 'i32' }, x: map },
      ...{ size: [2, 2], kernel: [1, 1], stride: [1, 1], pad: [0, 0], dilation: [1, 1], outSize: [2, 2] },
    } as const satisfies Op;
    own.defineWide('windows', windows);
    const cut = own.valuesOf(own.wide('windows').value);
    const numbers = (): number[][] => images.map((_, i) => [...cut.of(i).data]);
    const before = numbers();
    own.release('map');
    own.emit(linear(pixels, Int8Array.of(5)));
    expect(numbers()).toEqual(before);
  });
});
