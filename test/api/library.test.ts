import { readFile, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { InputError, Model, decodeImage, evaluate, quantize } from '../../src/index.js';
import { savePhoto, saveTinyModel, saveTinyOnnx, temporaryFolder } from '../cli/ivit.js';

const folder = temporaryFolder();

beforeAll(async () => {
  await saveTinyModel(folder.path('tiny.ivit'));
  await saveTinyOnnx(folder.path('float.onnx'));
  for (let i = 0; i < 6; i++) await savePhoto(folder.path('photos', `${i}.png`), i, 16);
  await writeFile(folder.path('photos', 'labels.txt'), '0.png 0\n1.png 1\n2.png 2\n3.png 0\n4.png 1\n5.png 2\n');
});

describe('Model', () => {
  test('run and infer agree on every backend; images of any size are resized', async () => {
    const image = await decodeImage(folder.path('photos', '0.png'));
    const all: number[][] = [];
    for (const backend of ['reference', 'wasm'] as const) {
      const model = await Model.load(folder.path('tiny.ivit'), { backend, threads: 1 });
      expect(model.backend).toBe(backend);
      const { predictions, logits } = await model.infer(image);
      expect(await model.run(model.prepare(image))).toEqual(logits);
      expect(predictions.map(({ label }) => label).sort()).toEqual(['cat', 'dog', 'newt']);
      expect(predictions.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 9);
      expect(logits[predictions[0].index]).toBe(Math.max(...logits));
      all.push([...logits]);
      await model.close();
    }
    expect(all[1]).toEqual(all[0]);
  });

  test('pixels of the wrong number are refused', async () => {
    const model = await Model.load(folder.path('tiny.ivit'), { backend: 'reference' });
    await expect(model.run(new Uint8Array(100))).rejects.toThrow('run: pixels must have 192 bytes (8×8×3), not 100');
    await expect(model.infer({ data: new Uint8Array(10), width: 2, height: 2 })).rejects.toThrow(
      'infer: data must have 12 bytes (2×2×3), not 10',
    );
    await model.close();
  });
});

test('a drop that so few images cannot tell is told', async () => {
  const notices: string[] = [];
  const { output, bytes } = await quantize(folder.path('float.onnx'), {
    output: folder.path('least.ivit'),
    images: folder.path('photos'),
    numImages: 4,
    effort: 'none',
    target: { drop: 20 },
    preprocess: { preset: 'inception' },
    onNotice: (notice) => notices.push(notice),
  });
  expect(notices.join('\n')).toMatch(
    /WARNING: a drop of 20 % cannot be told from 4 held-out images: one of them is 25/,
  );
  expect((await readFile(output)).length).toBe(bytes);
  const model = await Model.load(output);
  expect(model.file.provenance.settings).toMatchObject({ maxDrop: '20', weightBits: '8' });
  await model.close();
});

test('quantize, load, evaluate', async () => {
  const stages = new Set<string>();
  const notices: string[] = [];
  const summary = await quantize(folder.path('float.onnx'), {
    images: folder.path('photos'),
    numImages: 5,
    preprocess: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    onProgress: (stage) => stages.add(stage),
    onNotice: (notice) => notices.push(notice),
  });
  expect(summary).toMatchObject({ output: folder.path('float.ivit'), images: 5, synthetic: false, skipped: [] });
  expect(summary.bytes).toBe((await readFile(summary.output)).length);
  expect([...stages]).toEqual(['import', 'images', 'calibrate', 'sensitivity', 'quantize']);
  expect(notices, notices.join('\n')).toHaveLength(1);

  const model = await Model.load(summary.output);
  expect(model.file.provenance.calibration).toEqual({ images: 5, source: 'images' });
  const seen: unknown[] = [];
  const figures = await evaluate(model, {
    dataset: folder.path('photos'),
    float: folder.path('float.onnx'),
    onImage: ({ label }) => seen.push(label),
  });
  await model.close();
  expect(seen).toEqual([0, 1, 2, 0, 1, 2]);
  expect(figures.images).toBe(6);
  expect(figures.float!.agreement).toBeGreaterThan(0.8);
  expect(figures).toMatchObject({ top1: expect.any(Number), top5: 1, skipped: [] });
  expect(await evaluate(summary.output, { dataset: folder.path('photos') })).toMatchObject({
    images: 6,
    top1: figures.top1,
  });
});

test('failures are InputErrors', async () => {
  await expect(quantize(folder.path('absent.onnx'))).rejects.toBeInstanceOf(InputError);
  await expect(Model.load(folder.path('absent.ivit'))).rejects.toBeInstanceOf(InputError);
  await expect(evaluate(folder.path('tiny.ivit'), { dataset: folder.path('absent') })).rejects.toBeInstanceOf(
    InputError,
  );
});
