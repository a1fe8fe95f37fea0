import { readFile, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { importOrNull, openFloatFile, withPlainFile } from '../../src/api/float-file.js';
import { openFloatModel } from '../../src/calibrate/runtime.js';
import { graphToOnnx } from '../../src/importer/index.js';
import { ivit, savePhoto, saveTinyOnnx, temporaryFolder, tinyGraph } from '../cli/ivit.js';
import { FLOAT_TYPES, inFloatType } from '../float-types.js';
import type { FloatType } from '../float-types.js';

const folder = temporaryFolder();
const TYPES = Object.keys(FLOAT_TYPES) as FloatType[];
const SIZE = [16, 16] as const;
const image = { data: Float32Array.from({ length: 768 }, (_, i) => Math.sin(i)), shape: [1, 3, 16, 16] };

beforeAll(async () => {
  const model = graphToOnnx(tinyGraph(1));
  await writeFile(folder.path('float32.onnx'), model);
  for (const type of TYPES) await writeFile(folder.path(`${type}.onnx`), inFloatType(model, type));
  for (const name of ['cat/a', 'cat/b', 'dog/a', 'newt/a'])
    await savePhoto(folder.path(`set/${name}.png`), name.length);
});

async function logitsOf(file: string, runtime: 'onnxruntime-node' | 'onnxruntime-web'): Promise<Float32Array> {
  const path = folder.path(file);
  const { float } = await openFloatFile(path, await importOrNull(path, { size: SIZE }), { runtime });
  try {
    const [logits] = (await float.run({ [float.inputNames[0]]: image })).values();
    return logits;
  } finally {
    await float.close();
  }
}

describe.each(['onnxruntime-node', 'onnxruntime-web'] as const)('on %s', (runtime) => {
  test.each(TYPES)('a model in %s gives the logits of its float32 form', async (type) => {
    const expected = await logitsOf('float32.onnx', runtime);
    const actual = await logitsOf(`${type}.onnx`, runtime);
    const tolerance = { float16: 0.02, float64: 1e-5, bfloat16: 0.1 }[type];
    actual.forEach((value, i) => expect(Math.abs(value - expected[i])).toBeLessThan(tolerance));
  });

  test('a session takes float64 and float16 as they are', async () => {
    for (const type of ['float16', 'float64'] as const) {
      const bytes = inFloatType(graphToOnnx(tinyGraph(1)), type);
      const session = await openFloatModel(bytes, { runtime }).catch(() => null);
      if (session === null) continue; // no kernels for this type
      const [logits] = (await session.run({ pixels: image })).values();
      expect(logits).toHaveLength(3);
      await session.close();
    }
  });
});

describe.each(TYPES)('the commands take a model in %s', (type) => {
  const run = (...args: string[]) => ivit(args, { cwd: folder.path() });

  test('quantize, eval and bench', async () => {
    const quantized = await run('quantize', `${type}.onnx`, '--images', 'set', '--effort', 'fast');
    expect(quantized.code, quantized.stderr).toBe(0);
    const args = ['--dataset', 'set', '-m', `${type}.ivit`, '--float', `${type}.onnx`, '--json'];
    const evaluated = await run('eval', ...args);
    expect(evaluated.code, evaluated.stderr).toBe(0);
    expect(JSON.parse(evaluated.stdout).float.sqnrDb).toBeGreaterThan(10);
    const benched = await run('bench', '-m', `${type}.ivit`, '--float', `${type}.onnx`, '-r', '1', '--format', 'json');
    expect(benched.code, benched.stderr).toBe(0);
    expect(benched.stderr).toMatch(/is measured as the same network in float32/);
    const rivals = JSON.parse(benched.stdout).results.filter((r: { runtime: string }) => /^onnx/.test(r.runtime));
    expect(rivals).toHaveLength(6);
  });
});

test('a plain float32 model is measured as it is; others in a file that is removed', async () => {
  await saveTinyOnnx(folder.path('plain.onnx'));
  const same = await withPlainFile(
    folder.path('plain.onnx'),
    { size: SIZE },
    () => undefined,
    (file) => Promise.resolve(file),
  );
  expect(same).toBe(folder.path('plain.onnx'));
  const notices: string[] = [];
  const other = await withPlainFile(
    folder.path('float16.onnx'),
    { size: SIZE },
    (text) => notices.push(text),
    async (file) => {
      expect((await readFile(file)).length).toBeGreaterThan(1000);
      return file;
    },
  );
  expect(notices).toHaveLength(1);
  await expect(readFile(other)).rejects.toThrow(/ENOENT/);
});
