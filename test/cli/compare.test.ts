import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { nativeFailure } from '../../src/engine/load.js';
import { Model, compare, evaluate, quantize } from '../../src/index.js';
import type { ComparisonData } from '../../src/index.js';
import { renderComparison } from '../../src/report/comparison/index.js';
import { KERNEL_SETS } from '../../src/quantize/options.js';
import { hasChromium, launch } from '../web/browser.js';
import { REPOSITORY, ivit, savePhoto, saveTinyOnnx, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();
const CLASSES = 3;
/** Kernels in float32 are native alone. */
const SETS = KERNEL_SETS.filter((set) => set !== 'float' || nativeFailure() === null);
const common = { threads: 1 } as const;

beforeAll(async () => {
  await saveTinyOnnx(folder.path('model.onnx'));
  for (let i = 0; i < 12; i++) await savePhoto(folder.path('photos', `${i}.png`), i);
  for (let i = 0; i < 9; i++) await savePhoto(folder.path('set', String(i % CLASSES), `${i}.png`), 100 + i);
});

describe('compare, as a library', () => {
  let data: ComparisonData;

  beforeAll(async () => {
    data = await compare(folder.path('model.onnx'), {
      ...{
        images: folder.path('photos'),
        dataset: folder.path('set'),
        rounds: 1,
        keep: folder.path('kept'),
        ...common,
      },
      output: folder.path('page.html'),
    });
  });

  test('has the float model, int8 of ONNX Runtime, and every kernel set', () => {
    const names = data.models.map(({ name }) => name);
    expect(names).toEqual(['float', 'int8 dynamic', 'int8 static', ...SETS.map((set) => `${set} static`)]);
    const [float, ...others] = data.models;
    expect(float!.figures.agreement).toBeNull();
    expect(float!.timesFloat).toBe(1);
    for (const { figures, bytes, latencyMs } of others) {
      expect(figures.images).toBe(9);
      expect(figures.agreement!.interval[0]).toBeLessThanOrEqual(figures.agreement!.share);
      expect(figures.sqnrDb).toBeGreaterThan(0);
      expect(Math.min(bytes, latencyMs)).toBeGreaterThan(0);
    }
  });

  test('keeps the very files that quantize writes, although they share the float runs', async () => {
    for (const kernels of ['shift', 'paper'] as const) {
      const output = folder.path(`${kernels}.ivit`);
      await quantize(folder.path('model.onnx'), { output, images: folder.path('photos'), kernels, ...common });
      const kept = await readFile(folder.path('kept', `model-${kernels}-static.ivit`));
      expect(kept.equals(await readFile(output)), kernels).toBe(true);
    }
  });

  test('goes on with what a killed run quantized, and leaves nothing behind', async () => {
    const output = folder.path('resumed.json');
    const request = {
      ...{ images: folder.path('photos'), dataset: folder.path('set'), rounds: 1, ...common },
      ...{ kernels: ['shift', 'paper'] as const, output, keep: folder.path('kept-again'), resume: true },
    };
    const killed = new AbortController();
    const onProgress = (stage: string): void => {
      if (stage === 'evaluate') killed.abort(new Error('killed'));
    };
    const first = compare(folder.path('model.onnx'), { ...request, onProgress, signal: killed.signal });
    await expect(first).rejects.toThrow('killed');
    await rm(folder.path('kept-again'), { recursive: true });
    expect((await stat(`${output}.resume`)).size).toBeGreaterThan(0);

    const other = compare(folder.path('model.onnx'), { ...request, numImages: 3 });
    await expect(other).rejects.toThrow(/resumed\.json\.resume is of a killed run with other calibration images/);

    const stages = new Set<string>();
    await compare(folder.path('model.onnx'), { ...request, onProgress: (stage) => stages.add(stage) });
    expect([...stages]).not.toContain('quantize');
    for (const kernels of ['shift', 'paper']) {
      const file = `model-${kernels}-static.ivit`;
      const kept = await readFile(folder.path('kept', file));
      expect(kept.equals(await readFile(folder.path('kept-again', file))), kernels).toBe(true);
    }
    await expect(stat(`${output}.resume`)).rejects.toThrow('ENOENT');
  });

  test('has the figures that evaluate gives of each file', async () => {
    for (const { settings, figures, bytes } of data.models) {
      if (settings === null) continue;
      const file = folder.path('kept', `model-${settings.kernels}-${settings.scales}.ivit`);
      const own = await evaluate(file, { dataset: folder.path('set'), float: folder.path('model.onnx') });
      const { agreement, kl, klQuantiles, sqnrDb } = own.float!;
      expect([figures.top1!.share, figures.top5!.share, figures.top1!.interval]).toEqual([
        own.top1,
        own.top5,
        own.top1Interval,
      ]);
      expect(figures.agreement!.share).toBe(agreement);
      // The float model runs on another number of threads there.
      expect(figures.kl!.mean).toBeCloseTo(kl!, 6);
      expect(figures.kl!.p90).toBeCloseTo(klQuantiles!.p90, 6);
      expect(figures.sqnrDb).toBeCloseTo(sqnrDb, 2);
      expect((await stat(file)).size).toBe(bytes);
    }
  });

  test('knows every softmax, activation and norm of each program', async () => {
    for (const { settings, functions } of data.models) {
      if (settings === null) continue;
      const model = await Model.load(folder.path('kept', `model-${settings.kernels}-${settings.scales}.ivit`));
      const wanted = model.file.program.ops.filter(({ op }) => /^attention$|norm$|^activation$|gelu$/i.test(op));
      await model.close();
      expect(functions.map(({ name }) => name)).toEqual(wanted.map(({ name }) => name));
      for (const { meanError, maxError } of functions) expect(maxError).toBeGreaterThanOrEqual(meanError);
    }
  });

  test('every format tells the same figures', async () => {
    const page = await readFile(folder.path('page.html'), 'utf8');
    expect(page).toBe(renderComparison(data, 'html').replace(/"seconds": [\d.]+/, /"seconds": [\d.]+/.exec(page)![0]));
    const held = JSON.parse(
      /<script type="application\/json" id="figures">(.*?)<\/script>/s.exec(page)![1]!,
    ) as unknown;
    expect(held).toEqual(JSON.parse(renderComparison(data, 'json')));
    const [heads, ...rows] = renderComparison(data, 'csv')
      .trimEnd()
      .split('\n')
      .map((line) => line.split(','));
    const column = (name: string): string[] => rows.map((row) => row[heads!.indexOf(name)]!);
    expect(column('model')).toEqual(data.models.map(({ name }) => name));
    expect(column('top1').map(Number)).toEqual(data.models.map(({ figures }) => figures.top1!.share));
    expect(column('times_float').map(Number)).toEqual(data.models.map(({ timesFloat }) => timesFloat));
    const markdown = renderComparison(data, 'md');
    for (const { name, figures, functions } of data.models) {
      expect(markdown).toContain(`${name} | ${(100 * figures.top1!.share).toFixed(1)} (`);
      for (const one of functions) expect(markdown).toContain(`| ${one.name} | `);
    }
  });

  test.skipIf(!hasChromium)('the page asks for nothing, says nothing, and fits a phone', async () => {
    const browser = await launch();
    try {
      const page = await browser.newPage({ viewport: { width: 360, height: 700 } });
      const [asked, told]: [string[], string[]] = [[], []];
      page.on('request', (request) => asked.push(request.url()));
      page.on('console', (message) => told.push(message.text()));
      page.on('pageerror', (error) => told.push(error.message));
      await page.goto(pathToFileURL(folder.path('page.html')).href);
      expect(told).toEqual([]);
      expect(asked.filter((url) => !url.startsWith('data:'))).toHaveLength(1);
      expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
      expect(await page.locator('svg:not([aria-label])').count()).toBe(0);
      expect(await page.locator('#models ~ .scroll tbody tr').count()).toBe(data.models.length);
    } finally {
      await browser.close();
    }
  });
});

test('a model of several outputs, which is measured as another file, has the figures of evaluate', async () => {
  const zoo = path.join(REPOSITORY, 'fixtures/zoo2/detr_dynamo20.onnx.gz');
  await writeFile(folder.path('detr.onnx'), gunzipSync(await readFile(zoo)));
  const kept = folder.path('detr');
  const images = { dataset: folder.path('photos'), limit: 2 };
  const { models } = await compare(folder.path('detr.onnx'), {
    ...{ ...images, images: folder.path('photos'), numImages: 3, keep: kept, rounds: 1 },
    ...{ kernels: ['shift'], efforts: ['none'], preprocess: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } },
  });
  const file = path.join(kept, 'detr-shift-static-none.ivit');
  const alone = await evaluate(file, { ...images, float: folder.path('detr.onnx') });
  expect(alone.float!.outputs).toHaveLength(2);
  expect(models.at(-1)!.figures.sqnrDb).toBeCloseTo(alone.float!.sqnrDb, 4);
  for (const { figures } of models.slice(1)) expect(figures.sqnrDb).toBeGreaterThan(10);
});

describe('ivit compare', () => {
  const args = (...more: string[]) => ['compare', 'model.onnx', '--images', 'photos', '--dataset', 'set', ...more];
  const run = (...more: string[]) => ivit(args(...more), { cwd: folder.path() });

  test('prints tables of 80 columns', async () => {
    const { code, stdout, stderr } = await run('--kernels', 'shift', '--runs', '1', '--threads', '1');
    expect(code, stderr).toBe(0);
    for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(stdout).toMatch(/^9 images; calibrated on 12;/);
    for (const name of ['float', 'int8 dynamic', 'int8 static', 'shift static'])
      expect(stdout.match(new RegExp(`^ {2}${name} `, 'gm'))).toHaveLength(3);
  });

  test('leaves out kernels that do not go with the scales, and measures what has no classes', async () => {
    const more = ['--kernels', 'lut,paper', '--scales', 'dynamic', '--runs', '1', '--threads', '1', '--json'];
    const { code, stdout } = await ivit(
      ['compare', 'model.onnx', '--images', 'photos', '--dataset', 'photos', '--limit', '4', ...more],
      { cwd: folder.path() },
    );
    expect(code).toBe(0);
    const data = JSON.parse(stdout) as ComparisonData & { warnings: string[] };
    expect(data.models.map(({ name }) => name)).toEqual(['float', 'int8 dynamic', 'int8 static', 'lut dynamic']);
    expect(data.models[0]!.figures.top1).toBeNull();
    expect(data.warnings.some((text) => text.startsWith('paper with dynamic scales is left out'))).toBe(true);
    expect(data.command).toContain('--kernels lut,paper --scales dynamic');
  });

  test.each([
    [
      2,
      new RegExp(`--kernels <list>.*It must be a list of ${KERNEL_SETS.join(', ')}`, 's'),
      ['--kernels', 'shift,fast'],
    ],
    [2, /paper has static scales/, ['--kernels', 'paper', '--scales', 'dynamic']],
    [2, /out\.txt, tells no format: let it end in one of \.md/, ['-o', 'out.txt']],
    [2, /It must be one of table, md, csv, json, html/, ['--format', 'pdf']],
    [3, /The output of -o, labels\.md, is the input/, ['--labels', 'labels.md', '-o', 'labels.md']],
    [3, /notes\.md is there already and is no comparison/, ['-o', 'notes.md']],
    [3, /--keep notes\.md is a file/, ['--keep', 'notes.md']],
    [3, /No such file or folder: nowhere/, ['--dataset', 'nowhere']],
    [3, /No such file or folder: nowhere/, ['--images', 'nowhere']],
    [3, /empty/, ['--dataset', 'empty.txt']],
  ] as const)('refuses with exit code %i: %s', async (code, message, more) => {
    await writeFile(folder.path('notes.md'), 'my notes\n');
    await writeFile(folder.path('empty.txt'), '');
    await writeFile(folder.path('labels.md'), 'cat\ndog\nnewt\n');
    const before = await folder.files();
    const outcome = await run(...more);
    expect(outcome.stderr).toMatch(message);
    expect(outcome.stderr).not.toMatch(/\bat .*\.js:\d+/);
    expect([outcome.code, outcome.stdout]).toEqual([code, '']);
    expect(await folder.files()).toEqual(before);
  });
});
