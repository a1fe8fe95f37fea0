import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.js';
import { loadOnnx, TensorReader } from '../../src/onnx/index.js';
import { widenBfloat, widenHalf } from '../../src/onnx/tensor.js';
import { encodeModel, floats, temporaryFolder, writeModel, type TensorSpec } from './build.js';

/** A tensor's values after writing it into a model and reading that. */
async function roundTrip(tensor: TensorSpec): Promise<number[]> {
  const { model, tensors } = await loadOnnx(writeModel({ nodes: [], outputs: ['w'], initializers: { w: tensor } }));
  return Array.from(tensors.read(model.graph.initializers.get('w')!));
}

const bytes = (data: ArrayBufferView): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

describe('every encoding', () => {
  test.each<[string, TensorSpec, number[]]>([
    ['float32 raw', floats([3], [1.5, -2, 0.25]), [1.5, -2, 0.25]],
    ['float32 typed', { dims: [3], dataType: 1, floatData: [1.5, -2, 0.25] }, [1.5, -2, 0.25]],
    ['float64 raw', { dims: [2], dataType: 11, rawData: bytes(Float64Array.of(0.5, -3)) }, [0.5, -3]],
    ['float64 typed', { dims: [2], dataType: 11, doubleData: [0.5, -3] }, [0.5, -3]],
    [
      'float16 raw',
      { dims: [4], dataType: 10, rawData: bytes(Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff)) },
      [1, -2, 2 ** -24, 65504],
    ],
    ['float16 typed', { dims: [2], dataType: 10, int32Data: [0x3c00, 0xc000] }, [1, -2]],
    ['bfloat16 raw', { dims: [2], dataType: 16, rawData: bytes(Uint16Array.of(0x3fc0, 0xc000)) }, [1.5, -2]],
    ['int64 raw', { dims: [3], dataType: 7, rawData: bytes(BigInt64Array.of(5n, -7n, 2n ** 40n)) }, [5, -7, 2 ** 40]],
    ['int64 typed', { dims: [2], dataType: 7, int64Data: [5, -7] }, [5, -7]],
    ['int32 raw', { dims: [2], dataType: 6, rawData: bytes(Int32Array.of(5, -7)) }, [5, -7]],
    ['int32 typed', { dims: [2], dataType: 6, int32Data: [5, -7] }, [5, -7]],
    ['uint8', { dims: [2], dataType: 2, rawData: Uint8Array.of(5, 255) }, [5, 255]],
    ['int8', { dims: [2], dataType: 3, rawData: Uint8Array.of(5, 255) }, [5, -1]],
    ['uint16', { dims: [2], dataType: 4, rawData: bytes(Uint16Array.of(5, 65535)) }, [5, 65535]],
    ['int16', { dims: [2], dataType: 5, rawData: bytes(Int16Array.of(5, -2)) }, [5, -2]],
    ['uint32', { dims: [1], dataType: 12, rawData: bytes(Uint32Array.of(2 ** 32 - 1)) }, [2 ** 32 - 1]],
    ['uint64', { dims: [1], dataType: 13, rawData: bytes(BigUint64Array.of(2n ** 45n)) }, [2 ** 45]],
    ['bool', { dims: [2], dataType: 9, rawData: Uint8Array.of(0, 1) }, [0, 1]],
    ['no elements', floats([0, 4], []), []],
  ])('%s', async (_, tensor, values) => {
    expect(await roundTrip(tensor)).toEqual(values);
  });

  test('float16 and bfloat16 widen exactly', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff }), (bits) => {
        // A bfloat16 is the upper half of a float32.
        const [wide] = widenBfloat(Uint16Array.of(bits));
        expect(new Uint32Array(Float32Array.of(wide).buffer)[0] >>> 16 === bits || Number.isNaN(wide)).toBe(true);
        // A float16's value, by the definition of IEEE 754.
        const [half] = widenHalf(Uint16Array.of(bits));
        const exponent = (bits >> 10) & 31;
        if (exponent === 31) return;
        const magnitude = (exponent === 0 ? bits & 1023 : (bits & 1023) + 1024) * 2 ** (Math.max(exponent, 1) - 25);
        expect(half).toBe(bits & 0x8000 ? -magnitude : magnitude);
      }),
    );
  });
});

describe('external data', () => {
  const weights = floats([2], [3, 4]).rawData!;
  const spec = (external: Record<string, string>): TensorSpec => ({ dims: [2], dataType: 1, external });

  async function read(external: Record<string, string>, files: Record<string, Uint8Array>): Promise<number[]> {
    const file = writeModel({ nodes: [], outputs: ['w'], initializers: { w: spec(external) } }, files);
    const { model, tensors } = await loadOnnx(file);
    try {
      return Array.from(tensors.read(model.graph.initializers.get('w')!));
    } finally {
      tensors.close();
    }
  }

  test('with offset and length, in any of several files', async () => {
    const data = new Uint8Array(24);
    data.set(weights, 16);
    expect(await read({ location: 'a.bin', offset: '16', length: '8' }, { 'a.bin': data })).toEqual([3, 4]);
    expect(await read({ location: 'b.bin' }, { 'a.bin': data, 'b.bin': weights })).toEqual([3, 4]);
  });

  test.each([
    ['an absolute path', { location: '/etc/passwd' }, /outside/],
    ['a Windows path', { location: 'C:\\data.bin' }, /outside/],
    ['a parent folder', { location: 'x/../../data.bin' }, /outside/],
    ['the folder itself', { location: '.' }, /outside/],
    ['no location', { offset: '0' }, /names no external data file/],
    ['a NUL byte', { location: 'a.bin\0.txt' }, /names no external data file/],
    ['a missing file', { location: 'absent.bin' }, /is not there/],
    ['an offset beyond the end', { location: 'a.bin', offset: '4' }, /beyond the end/],
    ['a negative offset', { location: 'a.bin', offset: '-4' }, /invalid offset/],
    ['an offset in hexadecimal', { location: 'a.bin', offset: '0x4' }, /invalid offset/],
    ['a length that does not fit', { location: 'a.bin', length: '4' }, /has 4 bytes/],
  ])('%s is refused', async (_, external, cause) => {
    const refusal = read(external as Record<string, string>, { 'a.bin': weights });
    await expect(refusal).rejects.toThrow(InputError);
    await expect(refusal).rejects.toThrow(cause);
  });

  test('a link that leads out of the folder is refused', async () => {
    const outside = temporaryFolder({ 'secret.bin': weights });
    const folder = temporaryFolder({
      'model.onnx': encodeModel({ nodes: [], outputs: ['w'], initializers: { w: spec({ location: 'link.bin' }) } }),
    });
    symlinkSync(path.join(outside, 'secret.bin'), path.join(folder, 'link.bin'));
    const { model, tensors } = await loadOnnx(path.join(folder, 'model.onnx'));
    expect(() => tensors.read(model.graph.initializers.get('w')!)).toThrow(/outside/);
  });

  test.each<[string, Record<string, string>]>([
    ['model and data, as in the cache of Hugging Face', { 'model.onnx': 'blobs/m', 'w.bin': 'blobs/w.bin' }],
    ['the model alone, its data where the link leads to', { 'model.onnx': 'blobs/m' }],
    ['the model over two links, its data beside the first', { 'model.onnx': 'blobs/again', 'w.bin': 'blobs/w.bin' }],
    ['the folder of both', { '.': 'blobs' }],
  ])('links: %s', async (_, links) => {
    const model = encodeModel({ nodes: [], outputs: ['w'], initializers: { w: spec({ location: 'w.bin' }) } });
    const root = temporaryFolder({});
    mkdirSync(path.join(root, 'blobs'));
    writeFileSync(path.join(root, 'blobs/m'), model);
    writeFileSync(path.join(root, 'blobs/model.onnx'), model);
    writeFileSync(path.join(root, 'blobs/w.bin'), weights);
    symlinkSync('m', path.join(root, 'blobs/again'));
    if (links['.']) symlinkSync('blobs', path.join(root, 'snap'));
    else {
      mkdirSync(path.join(root, 'snap'));
      for (const [name, to] of Object.entries(links)) symlinkSync(`../${to}`, path.join(root, 'snap', name));
    }
    const { model: read, tensors } = await loadOnnx(path.join(root, 'snap/model.onnx'));
    expect(Array.from(tensors.read(read.graph.initializers.get('w')!))).toEqual([3, 4]);
    tensors.close();
  });

  test('a link that leads out of both folders, the model’s and that of the file it links to, is refused', async () => {
    const outside = temporaryFolder({ 'secret.bin': weights });
    const blobs = temporaryFolder({
      m: encodeModel({ nodes: [], outputs: ['w'], initializers: { w: spec({ location: 'w.bin' }) } }),
    });
    const folder = temporaryFolder({});
    symlinkSync(path.join(blobs, 'm'), path.join(folder, 'model.onnx'));
    symlinkSync(path.join(outside, 'secret.bin'), path.join(folder, 'w.bin'));
    const { model, tensors } = await loadOnnx(path.join(folder, 'model.onnx'));
    expect(() => tensors.read(model.graph.initializers.get('w')!)).toThrow(/outside/);
  });

  test('a folder below the model’s is allowed, a folder in place of a file is not', async () => {
    const folder = temporaryFolder({});
    mkdirSync(path.join(folder, 'sub/dir'), { recursive: true });
    writeFileSync(path.join(folder, 'sub/w.bin'), weights);
    const reader = new TensorReader(path.join(folder, 'model.onnx'));
    const at = (location: string) => ({
      name: 'w',
      dims: [2],
      dataType: 1,
      raw: null,
      typed: null,
      external: new Map([['location', location]]),
    });
    expect(Array.from(reader.read(at('sub/w.bin')))).toEqual([3, 4]);
    expect(reader.externalBytes).toBe(8);
    expect(() => reader.read(at('sub/dir'))).toThrow(InputError);
    reader.close();
  });
});

describe('damaged tensors are refused', () => {
  test.each<[string, TensorSpec, RegExp]>([
    ['too few bytes', { dims: [3], dataType: 1, rawData: new Uint8Array(8) }, /holds 8 bytes/],
    ['too many bytes', { dims: [1], dataType: 1, rawData: new Uint8Array(8) }, /holds 8 bytes/],
    ['too few values', { dims: [3], dataType: 1, floatData: [1] }, /holds 1 values/],
    ['a negative dimension', { dims: [-3], dataType: 1, rawData: new Uint8Array(0) }, /impossible shape/],
    [
      'dimensions that overflow',
      { dims: [2 ** 40, 2 ** 40], dataType: 1, rawData: new Uint8Array(0) },
      /too many elements/,
    ],
    ['an unknown type', { dims: [1], dataType: 17, rawData: new Uint8Array(1) }, /float8e4m3fn/],
    ['NaN', floats([2], [1, NaN]), /NaN \(first at element 1\)/],
  ])('%s', async (_, tensor, cause) => {
    await expect(roundTrip(tensor)).rejects.toThrow(InputError);
    await expect(roundTrip(tensor)).rejects.toThrow(cause);
  });
});
