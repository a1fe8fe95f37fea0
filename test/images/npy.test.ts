import { spawnSync } from 'node:child_process';
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { encodeNpy, encodeNpz } from '../../src/images/npy.js';

test('a .npy file: magic, a header of whole 64 bytes, the numbers', () => {
  const file = encodeNpy({ shape: [2, 1], data: Int32Array.of(-1, 258) });
  expect([...file.subarray(0, 8)]).toEqual([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
  const length = file[8] + 256 * file[9];
  expect((10 + length) % 64).toBe(0);
  const header = new TextDecoder().decode(file.subarray(10, 10 + length));
  expect(header).toMatch(/^\{'descr': '<i4', 'fortran_order': False, 'shape': \(2, 1\), \} *\n$/);
  expect([...file.subarray(10 + length)]).toEqual([255, 255, 255, 255, 2, 1, 0, 0]);
});

test.each([
  [[], '()'],
  [[3], '(3,)'],
])('the shape %j as a tuple of Python', (shape, tuple) => {
  const file = encodeNpy({ shape, data: new Float32Array(3) });
  expect(new TextDecoder('latin1').decode(file)).toContain(
    `'descr': '<f4', 'fortran_order': False, 'shape': ${tuple},`,
  );
});

test('texts are UTF-32, padded with zeros', () => {
  const file = encodeNpy({ shape: [2], data: ['ab', '😀'] });
  expect(new TextDecoder('latin1').decode(file)).toContain("'<U2'");
  expect([...new Uint32Array(file.slice(-16).buffer)]).toEqual([97, 98, 0x1f600, 0]);
});

test('a .npz is a zip: checksums, sizes and the directory agree', () => {
  const arrays = new Map([
    ['logits', { shape: [1, 3], data: Int32Array.of(1, 2, 3) }],
    ['logits.scale', { shape: [], data: Float64Array.of(0.5) }],
  ]);
  const file = encodeNpz(arrays);
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const own = encodeNpy(arrays.get('logits')!);
  expect(view.getUint32(0, true)).toBe(0x04034b50);
  expect(view.getUint32(14, true)).toBe(crc32(own));
  expect(view.getUint32(22, true)).toBe(own.length);
  const end = file.length - 22;
  expect(view.getUint32(end, true)).toBe(0x06054b50);
  expect(view.getUint16(end + 10, true)).toBe(2);
  expect(view.getUint32(end + 12, true) + view.getUint32(end + 16, true)).toBe(end);
});

const hasNumpy = spawnSync('python3', ['-c', 'import numpy']).status === 0;

test.skipIf(!hasNumpy)('NumPy reads it', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'ivit-npz-'));
  try {
    const file = path.join(folder, 'a.npz');
    writeFileSync(file, encodeNpz(new Map([['x', { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }]])));
    const code = `import numpy as n; z = n.load(${JSON.stringify(file)}); print(z['x'].tolist())`;
    expect(spawnSync('python3', ['-c', code], { encoding: 'utf8' }).stdout).toBe('[[1.0, 2.0], [3.0, 4.0]]\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
