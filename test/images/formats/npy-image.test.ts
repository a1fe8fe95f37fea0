import { expect, test } from 'vitest';
import { InputError } from '../../../src/errors.js';
import { decodeImage } from '../../../src/images/decode.js';

/** A .npy file as NumPy writes it. */
function npy(shape: readonly number[], data: readonly number[], { type = '|u1', order = 'False' } = {}): Uint8Array {
  const header = `{'descr': '${type}', 'fortran_order': ${order}, 'shape': (${shape.join(', ')},), }\n`;
  return Buffer.concat([
    Buffer.from('\x93NUMPY\x01\0', 'latin1'),
    Buffer.of(header.length, 0),
    Buffer.from(header),
    Buffer.from(data),
  ]);
}

test('channels last, first, or none', async () => {
  const pixels = [1, 2, 3, 4, 5, 6, 7, 8];
  const wide = Array.from({ length: 40 }, (_, i) => i);
  expect(await decodeImage(npy([2, 2, 2], pixels))).toEqual({
    data: Uint8Array.from(pixels),
    height: 2,
    width: 2,
    channels: 2,
  });
  expect(await decodeImage(npy([2, 4], pixels))).toEqual({
    data: Uint8Array.from(pixels),
    height: 2,
    width: 4,
    channels: 1,
  });
  const planar = await decodeImage(npy([2, 1, 20], wide));
  expect(planar).toMatchObject({ height: 1, width: 20, channels: 2 });
  expect([...planar.data.subarray(0, 4)]).toEqual([0, 20, 1, 21]);
});

test.each<[string, Uint8Array, RegExp]>([
  ['reals', npy([1, 1], [0, 0, 0, 0], { type: '<f4' }), /numbers of type <f4, and pixels of 0 to 255 are expected/],
  ['objects', npy([1, 1], [0], { type: '|O' }), /type \|O/],
  ['a batch', npy([1, 2, 2, 3], Array<number>(12).fill(0)), /one image a file/],
  ['too many channels', npy([20, 20, 20], Array<number>(8000).fill(0)), /at most 16 channels/],
  ['Fortran order', npy([2, 2], [0, 0, 0, 0], { order: 'True' }), /ascontiguousarray/],
  ['missing pixels', npy([2, 2], [0, 0, 0]), /3 bytes of pixels, not 4/],
  ['a huge size', npy([60000, 60000], [0]), /more than \d+ pixels/],
  ['nothing after the magic', Buffer.from('\x93NUMPY\x01', 'latin1'), /truncated/],
  ['a header that ends early', npy([2, 2], []).subarray(0, 30), /truncated/],
])('%s are refused', async (_, file, message) => {
  const attempt = decodeImage(file, 'x.npy');
  await expect(attempt).rejects.toThrow(InputError);
  await expect(attempt).rejects.toThrow(message);
});
