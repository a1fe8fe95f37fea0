import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { saveModel } from '../../src/program/file.js';
import { decodeModel, encodeModel } from '../../src/program/model.js';
import { sha256, withHeader } from '../attacks/rehash.js';
import { tinyFloatProgram, tinyModel } from '../program/tiny.js';
import { ivit, savePhoto, temporaryFolder, type Outcome } from './ivit.js';

const folder = temporaryFolder();
const run = (...args: string[]): Promise<Outcome> => ivit(args, { cwd: folder.path() });

beforeAll(async () => {
  await saveModel(folder.path('f.ivit'), tinyModel(tinyFloatProgram()));
  await savePhoto(folder.path('1.png'), 1);
});

test('a model in float32 is called so by what shows and runs it', async () => {
  const shown = await run('inspect', 'f.ivit');
  expect(shown.stdout).toMatch(/NOT integer-only +This model is not integer-only: its softmax, GELU and\s+LayerNorm/);
  expect(JSON.parse((await run('inspect', 'f.ivit', '--json')).stdout)).toMatchObject({ integerOnly: false });
  const inferred = await run('infer', '1.png', '-m', 'f.ivit', '--backend', 'reference', '--json');
  expect(inferred.stderr).toMatch(/warning: This model is not integer-only/);
  const [{ warnings }] = JSON.parse(inferred.stdout) as { warnings: string[] }[];
  expect(warnings).toContainEqual(expect.stringMatching(/not integer-only/));
});

test.each([
  ['verify', ['verify', 'f.ivit'], /there is nothing to prove/],
  ['C', ['export', 'f.ivit', '--to', 'c', '-o', 'out'], /exports hold integers alone/],
  ['ONNX', ['export', 'f.ivit', '--to', 'onnx', '-o', 'out.onnx'], /exports hold integers alone/],
  ['WebAssembly', ['infer', '1.png', '-m', 'f.ivit', '--backend', 'wasm'], /WebAssembly has integer kernels alone/],
])('%s refuses it', async (_, args, reason) => {
  const { code, stderr } = await run(...args);
  expect(code).toBe(3);
  expect(stderr).toMatch(/^error: This model is not integer-only: .*, first in op "norm1"/m);
  expect(stderr).toMatch(reason);
});

test('a file says which it is, or is refused', () => {
  const bytes = readFileSync(folder.path('f.ivit'));
  expect(bytes.toString('latin1')).toContain('"integerOnly":"false"');
  const lying = withHeader(bytes, (json) => json.replace('"integerOnly":"false"', '"integerOnly":"true"'));
  expect(() => decodeModel(lying, sha256)).toThrow(/its ops are not all of integers, and it says otherwise/);
  const integer = Buffer.from(encodeModel(tinyModel(), sha256));
  expect(integer.toString('latin1')).not.toContain('integerOnly');
  const marked = withHeader(integer, (json) =>
    json.replace('"format":"ivit"', '"format":"ivit","integerOnly":"false"'),
  );
  expect(() => decodeModel(marked, sha256)).toThrow(/its ops are all of integers, and it says otherwise/);
});
