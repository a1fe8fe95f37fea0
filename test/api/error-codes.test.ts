/** The codes of errors, which programs may rely on: one case for each, and the table in docs/library.md. */
import { gunzipSync } from 'node:zlib';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { CheckError, Model, decodeImage, evaluate, mergeEvaluations, quantize, serve } from '../../src/index.js';
import { loadBackend } from '../../src/engine/backends.js';
import { InputError, coded } from '../../src/errors.js';
import type { ErrorCode } from '../../src/errors.js';
import { packageFile } from '../../src/package-root.js';
import { savePhoto, saveTinyModel, saveTinyOnnx, temporaryFolder } from '../cli/ivit.js';

const folder = temporaryFolder();
const at = (name: string): string => folder.path(name);

beforeAll(async () => {
  await saveTinyModel(at('tiny.ivit'));
  await saveTinyOnnx(at('tiny.onnx'));
  await writeFile(at('text.onnx'), 'this is no ONNX file');
  const unknown = await readFile(packageFile('fixtures', 'zoo', 'bad', 'unknown_domain.onnx.gz'));
  await writeFile(at('unknown.onnx'), gunzipSync(unknown));
  await writeFile(at('bad.ivit'), new Uint8Array(100));
  await writeFile(at('bad.jpg'), 'no image');
  await writeFile(at('bad.jsonl'), 'no part\n');
  await mkdir(at('empty'));
  await mkdir(at('folder.ivit'));
  for (let i = 0; i < 2; i++) await savePhoto(path.join(at('photos'), `${i}.png`), i, 16);
});

const image = { data: new Uint8Array(192), width: 8, height: 8 };

/** Something that goes wrong with each code. */
const CASES: Record<ErrorCode, () => Promise<unknown>> = {
  NOT_FOUND: () => Model.load(at('absent.ivit')),
  BAD_IVIT: () => Model.load(at('bad.ivit')),
  BAD_ONNX: () => quantize(at('text.onnx')),
  BAD_IMAGE: () => decodeImage(at('bad.jpg')),
  BAD_DATASET: () => evaluate(at('tiny.ivit'), { dataset: at('empty') }),
  BAD_FILE: () => mergeEvaluations([at('bad.jsonl')]),
  BAD_SETTING: () => quantize(at('tiny.onnx'), { layerBits: [{ pattern: 'no-such-layer', bits: 16 }] }),
  UNWRITABLE: () => quantize(at('tiny.onnx'), { output: at('folder.ivit') }),
  NO_MEMORY: () => Model.load(at('tiny.ivit'), { maxMemory: 1 }),
  USAGE: () => Model.load(7 as never),
  CLOSED: async () => {
    const model = await Model.load(at('tiny.ivit'), { backend: 'reference' });
    await model.close();
    await model.infer(image);
  },
  BAD_INPUT: async () => {
    await using serving = await serve({ port: 0 });
    await serve({ port: serving.port });
  },
  UNSUPPORTED_ONNX: () => quantize(at('unknown.onnx')),
  FLOAT_RUNTIME: () => evaluate(at('tiny.ivit'), { dataset: at('photos'), float: at('text.onnx') }),
  NO_BACKEND: () => {
    const fail = (): never => {
      throw new Error('it is not there');
    };
    return loadBackend('native', { native: fail, wasm: fail, reference: fail });
  },
  CHECK_FAILED: () => Promise.reject(new CheckError('a check did not hold')),
};

describe('an error tells by its code what it is about', () => {
  test.each(Object.entries(CASES))('%s', async (code, fail) => {
    await expect(fail()).rejects.toMatchObject({ code });
  });

  test('what wraps an error has its code, and a later one does not replace it', () => {
    const inner = new InputError('inner', { code: 'NOT_FOUND' });
    expect(new InputError('outer', { cause: inner }).code).toBe('NOT_FOUND');
    expect(coded(inner, 'BAD_IVIT')).toMatchObject({ code: 'NOT_FOUND' });
    expect(coded(new InputError('plain'), 'BAD_IVIT')).toMatchObject({ code: 'BAD_IVIT' });
    expect(coded(new TypeError('other'), 'BAD_IVIT')).not.toHaveProperty('code');
  });
});

test('docs/library.md explains every code, and no other', async () => {
  const [types, page] = await Promise.all(
    ['src/errors.ts', 'docs/library.md'].map((file) => readFile(packageFile(file), 'utf8')),
  );
  const codes = new Set([...types.matchAll(/'([A-Z]+(?:_[A-Z]+)*)'/g)].map(([, code]) => code));
  const explained = new Set([...page.matchAll(/^\| `([A-Z_]+)`/gm)].map(([, code]) => code));
  expect(codes.size).toBeGreaterThan(10);
  expect([...explained].sort()).toEqual([...codes].sort());
});
