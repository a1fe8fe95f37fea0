/** Progress, giving up, and letting go of what is held. */
import { spawnSync } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { Model, evaluate, quantize, report, serve, verify } from '../../src/index.js';
import { packageFile } from '../../src/package-root.js';
import { savePhoto, saveTinyModel, saveTinyOnnx, temporaryFolder } from '../cli/ivit.js';

const folder = temporaryFolder();
const preprocess = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
const IMAGES = 9;
let [onnx, photos, tiny] = ['', '', ''];

beforeAll(async () => {
  [onnx, photos, tiny] = [folder.path('float.onnx'), folder.path('photos'), folder.path('tiny.ivit')];
  await saveTinyOnnx(onnx);
  await saveTinyModel(tiny);
  for (let i = 0; i < IMAGES; i++) await savePhoto(path.join(photos, `${i}.png`), i, 16);
  const labels = Array.from({ length: IMAGES }, (_, i) => `${i}.png ${i % 3}\n`);
  await writeFile(path.join(photos, 'labels.txt'), labels.join(''));
  await quantize(onnx, { output: folder.path('float.ivit'), images: photos, preprocess });
});

interface Told {
  readonly stage: string;
  readonly done: number;
  readonly total: number;
}

/** A listener that keeps what it is told, and calls `then` when a stage begins. */
function listener(then: (stage: string) => void = () => undefined) {
  const told: Told[] = [];
  const onProgress = (stage: string, done: number, total: number): void => {
    told.push({ stage, done, total });
    then(stage);
  };
  return { told, onProgress };
}

/** Stages come one after the other, each in steps that only grow, and end whole. */
function expectWhole(told: readonly Told[], stages: readonly string[]): void {
  expect([...new Set(told.map(({ stage }) => stage))]).toEqual(stages);
  expect(told.map(({ stage }) => stages.indexOf(stage))).toEqual(
    told.map(({ stage }) => stages.indexOf(stage)).sort((a, b) => a - b),
  );
  for (const stage of stages) {
    const steps = told.filter((one) => one.stage === stage);
    expect(steps.map(({ done }) => done)).toEqual(steps.map(({ done }) => done).sort((a, b) => a - b));
    expect(steps.at(-1)!.done).toBe(steps.at(-1)!.total);
  }
}

const STAGES = ['import', 'images', 'calibrate', 'sensitivity', 'quantize', 'report'] as const;

describe('quantize', () => {
  test('tells of every stage', async () => {
    const { told, onProgress } = listener();
    const page = folder.path('told.html');
    await quantize(onnx, { output: folder.path('told.ivit'), images: photos, preprocess, report: page, onProgress });
    expectWhole(told, STAGES);
  });

  test.each(STAGES.slice(0, -1))('given up in the stage %s it leaves nothing behind', async (wanted) => {
    const before = process.env['TMPDIR'];
    process.env['TMPDIR'] = folder.path('.');
    const held = await folder.files();
    const controller = new AbortController();
    const reason = new Error(`enough of ${wanted}`);
    const { told, onProgress } = listener((stage) => stage === wanted && controller.abort(reason));
    try {
      const output = folder.path('given-up.ivit');
      const request = { output, images: photos, preprocess, saveStats: folder.path('stats') };
      await expect(quantize(onnx, { ...request, onProgress, signal: controller.signal })).rejects.toBe(reason);
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
    }
    expect(told.at(-1)!.stage).toBe(wanted);
    expect(told.filter(({ stage }) => stage === wanted)).toHaveLength(1);
    expect(await folder.files()).toEqual(held);
  });

  test('given up before it begins, it does nothing', async () => {
    const { told, onProgress } = listener();
    const signal = AbortSignal.abort();
    await expect(quantize(onnx, { onProgress, signal })).rejects.toMatchObject({ name: 'AbortError' });
    expect(told).toEqual([]);
  });

  test('what onProgress throws ends it too', async () => {
    const { onProgress } = listener((stage) => {
      if (stage === 'quantize') throw new Error('of the listener');
    });
    const output = folder.path('thrown.ivit');
    await expect(quantize(onnx, { output, images: photos, preprocess, onProgress })).rejects.toThrow('of the listener');
    expect(await folder.files()).not.toContain('thrown.ivit');
  });

  test('a process that gave up ends by itself: no thread is left that keeps it', () => {
    const program = `
      import { quantize } from ${JSON.stringify(packageFile('dist/index.js'))};
      const controller = new AbortController();
      const onProgress = (stage) => stage === 'sensitivity' && controller.abort();
      const request = { output: 'never.ivit', images: 'photos', onProgress, signal: controller.signal };
      await quantize('float.onnx', request).catch(({ name }) => console.log(name));
    `;
    const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      cwd: folder.path('.'),
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'AbortError\n' });
  });
});

describe('evaluate', () => {
  test('tells of its images; given up, what it wrote can be resumed', async () => {
    const whole = listener();
    const model = folder.path('float.ivit');
    const expected = await evaluate(model, { dataset: photos, onProgress: whole.onProgress });
    expectWhole(whole.told, ['evaluate']);
    expect(whole.told).toHaveLength(IMAGES);

    const controller = new AbortController();
    const onImage = (): void => controller.abort();
    const out = folder.path('part.jsonl');
    const request = { dataset: photos, out };
    await expect(evaluate(model, { ...request, onImage, signal: controller.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(await folder.files()).toContain('part.jsonl.partial');
    expect(await folder.files()).not.toContain('part.jsonl');
    expect(await evaluate(model, { ...request, resume: true })).toMatchObject({
      images: expected.images,
      top1: expected.top1,
    });
  });
});

test('report and verify tell of their work, and can be given up', async () => {
  const model = folder.path('float.ivit');
  for (const work of [
    (request: object) => report(model, { float: onnx, images: photos, output: folder.path('r.json'), ...request }),
    (request: object) => verify(model, { ...request }),
  ]) {
    const { told, onProgress } = listener();
    await work({ onProgress });
    expectWhole(told, ['compare']);
    const controller = new AbortController();
    await expect(work({ onProgress: () => controller.abort('enough'), signal: controller.signal })).rejects.toBe(
      'enough',
    );
  }
});

describe('Model.load', () => {
  test('tells how much was read, and when it is ready', async () => {
    const { told, onProgress } = listener();
    await using model = await Model.load(tiny, { onProgress, backend: 'reference' });
    expect(model.classes).toBe(3);
    expectWhole(told, ['read', 'prepare']);
  });

  test.each(['read', 'prepare'])('can be given up in the stage %s', async (wanted) => {
    const controller = new AbortController();
    const onProgress = (stage: string): void => {
      if (stage === wanted) controller.abort('enough');
    };
    await expect(Model.load(tiny, { onProgress, signal: controller.signal })).rejects.toBe('enough');
  });
});

describe('await using', () => {
  test('closes a model', async () => {
    let kept: Model;
    {
      await using model = await Model.load(tiny, { threads: 2 });
      kept = model;
      await model.infer({ data: new Uint8Array(192), width: 8, height: 8 });
    }
    const pixels = new Uint8Array(192);
    await expect(kept.run(pixels)).rejects.toMatchObject({ name: 'UsageError', code: 'CLOSED' });
  });

  test('closes a server', async () => {
    let url: string;
    {
      await using serving = await serve({ model: tiny, port: 0 });
      url = serving.url;
      expect((await fetch(url)).status).toBe(200);
    }
    await expect(fetch(url)).rejects.toThrow();
  });
});

test('no temporary file is left in the folder of the tests', async () => {
  expect((await readdir(folder.path('.'))).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});
