import { writeFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { nearFile } from '../src/near-file.js';
import { temporaryFolder } from './cli/ivit.js';

const folder = temporaryFolder();

beforeAll(() => {
  for (const name of ['float.onnx', 'float.ivit', 'where.png', '1.jpg', '2.jpg', 'Photos'])
    writeFileSync(folder.path(name), '');
});

test.each([
  ['flaot.onnx', 'float.onnx'],
  ['FLOAT.ONNX', 'float.onnx'],
  ['photo', 'Photos'],
  ['where', 'where.png'],
  ['floats.ivit', 'float.ivit'],
])('%s means %s', (written, meant) => {
  expect(nearFile(folder.path(written))).toMatch(new RegExp(`^; did you mean .*/${meant}\\?$`));
});

test.each(['3.jpg', 'other.onnx', 'float.png', 'nowhere', 'no-such-folder/float.onnx', 'a\0b'])(
  '%j means nothing',
  (written) => {
    expect(nearFile(folder.path(written))).toBe('');
  },
);
