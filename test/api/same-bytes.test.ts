import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { quantize } from '../../src/api/quantize.js';
import { loadModel } from '../../src/program/file.js';
import { saveTinyOnnx, temporaryFolder } from '../cli/ivit.js';

const folder = temporaryFolder();

test('the same command gives the same bytes, with any number of threads, and names the ONNX Runtime', async () => {
  const model = folder.path('model.onnx');
  await saveTinyOnnx(model, 3);
  const bytes: Uint8Array[] = [];
  for (const threads of [1, 2, 1]) {
    const output = folder.path(`threads-${bytes.length}.ivit`);
    const { runtime } = await quantize(model, { output, threads, numImages: 16 });
    expect((await loadModel(output)).provenance.settings).toMatchObject({ runtime });
    bytes.push(await readFile(output));
  }
  expect(bytes[1]).toEqual(bytes[0]);
  expect(bytes[2]).toEqual(bytes[0]);
});
