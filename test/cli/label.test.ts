import { readFile, writeFile } from 'node:fs/promises';
import { beforeAll, expect, test } from 'vitest';
import { loadModel } from '../../src/program/file.js';
import { ivit, saveTinyModel, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();
const run = (...args: string[]) => ivit(['label', ...args], { cwd: folder.path() });

beforeAll(async () => {
  await saveTinyModel(folder.path('tiny.ivit'));
  await writeFile(folder.path('names.json'), '{"owl": 2, "ant": 0, "bee": 1}');
  await writeFile(folder.path('two.txt'), 'ant\nbee\n');
});

test('ivit label gives a copy other labels, and nothing else', async () => {
  expect((await run('tiny.ivit', '--labels', 'names.json', '-o', 'named.ivit')).code).toBe(0);
  const [before, after] = [await loadModel(folder.path('tiny.ivit')), await loadModel(folder.path('named.ivit'))];
  expect(after).toEqual({ ...before, hash: after.hash, labels: ['ant', 'bee', 'owl'] });
  expect(after.hash).not.toBe(before.hash);
});

test('a list of another length leaves the model as it was', async () => {
  const before = await readFile(folder.path('tiny.ivit'));
  const { code, stderr } = await run('tiny.ivit', '--labels', 'two.txt');
  expect({ code, stderr }).toMatchObject({ code: 3, stderr: expect.stringMatching(/2 labels, .* 3 classes/) });
  expect(await readFile(folder.path('tiny.ivit'))).toEqual(before);
});

test.each(['9', '1', '8.0', 'head', 'head=9', '4,'])('quantize --weight-bits %s: refused at once', async (bits) => {
  const { code, stderr } = await ivit(['quantize', 'absent.onnx', '--weight-bits', bits], { cwd: folder.path() });
  expect(stderr).toMatch(/It must be 2 to 8/);
  expect(code).toBe(2);
});
