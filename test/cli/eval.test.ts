import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { ivit, savePhoto, saveTinyModel, saveTinyOnnx, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();
const CLASSES = ['cat', 'dog', 'newt'];

beforeAll(async () => {
  await saveTinyModel(folder.path('tiny.ivit'));
  await saveTinyOnnx(folder.path('float.onnx'));
  let seed = 0;
  for (const name of CLASSES)
    for (const i of [0, 1, 2]) await savePhoto(folder.path('val', name, `${i}.png`), seed++, 16);
  await mkdir(folder.path('listed'));
  for (const i of [0, 1, 2]) await copyFile(folder.path('val', 'dog', `${i}.png`), folder.path('listed', `${i}.png`));
  await writeFile(folder.path('listed', 'labels.txt'), '0.png 1\n1.png 1\n2.png 2\n');
});

const run = (...args: string[]) => ivit(['eval', '-m', 'tiny.ivit', ...args], { cwd: folder.path() });

/** What the reference decides for each image, by `ivit infer`. */
async function decisions(paths: string[]): Promise<number[]> {
  const { stdout } = await ivit(['infer', '-m', 'tiny.ivit', '--json', ...paths], { cwd: folder.path() });
  return JSON.parse(stdout).map((one: { predictions: { index: number }[] }) => one.predictions[0].index);
}

describe('eval', () => {
  test('class folders by the labels: figures equal those counted by hand', async () => {
    const { code, stdout, stderr } = await run('--dataset', 'val', '--json');
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const figures = JSON.parse(stdout);
    const paths = CLASSES.flatMap((name) => [0, 1, 2].map((i) => `val/${name}/${i}.png`));
    const decided = await decisions(paths);
    const labels = decided.map((_, i) => Math.floor(i / 3));
    const right = decided.filter((index, i) => index === labels[i]).length;
    const rightOf = (label: number) => decided.filter((index, i) => index === label && labels[i] === label).length;
    const confusions = decided.filter((index, i) => index !== labels[i]).length;
    expect(figures).toEqual({
      images: 9,
      turned: { images: 0, exif: 'ignore' },
      top1: right / 9,
      top5: 1,
      top1Interval: [expect.any(Number), expect.any(Number)],
      ece: expect.any(Number),
      meanAveragePrecision: null,
      classAccuracy: CLASSES.map((name, label) => ({ label, name, images: 3, top1: rightOf(label) / 3 })),
      confused: expect.any(Array),
      imagesPerSecond: expect.any(Number),
      latencyMs: { p50: expect.any(Number), p90: expect.any(Number), p99: expect.any(Number) },
      skipped: [],
      unread: {},
      warnings: [],
    });
    expect(figures.top1Interval[0]).toBeLessThan(right / 9);
    expect(figures.top1Interval[1]).toBeGreaterThan(right / 9);
    expect(figures.confused.reduce((sum: number, { images }: { images: number }) => sum + images, 0)).toBe(confusions);
    expect(figures.latencyMs.p50).toBeLessThanOrEqual(figures.latencyMs.p99);
  });

  test('a table for people', async () => {
    const { code, stdout, stderr } = await run('--dataset', 'listed', '--threads', '1');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/images +3\n +top-1 +[\d.]+ % \([\d.]+ to [\d.]+\)\n +top-5 +100\.00 %\n/);
    expect(stdout).toMatch(/latency +p50 .* ms, p90 .* ms, p99 .* ms\n$/);
  });

  test('a corrupt image is skipped, counted and named', async () => {
    await mkdir(folder.path('spoilt'));
    await copyFile(folder.path('val', 'dog', '0.png'), folder.path('spoilt', 'good.png'));
    await writeFile(folder.path('spoilt', 'bad.png'), 'no image');
    await writeFile(folder.path('spoilt', 'labels.csv'), 'path,class\nbad.png,dog\ngood.png,dog\n');
    const { code, stdout, stderr } = await run('--dataset', 'spoilt', '--json');
    expect(code).toBe(0);
    expect(stderr).toMatch(/^warning: skipped: Cannot decode spoilt\/bad\.png: .*\n$/);
    expect(JSON.parse(stdout)).toMatchObject({
      images: 1,
      skipped: [{ path: 'spoilt/bad.png', reason: expect.stringContaining('not an image') }],
    });
  });

  test('--layers names the worst layers of the calibration report, and says where a model has none', async () => {
    const photos = folder.path('val', 'cat');
    await ivit(['quantize', 'float.onnx', '-o', 'made.ivit', '--images', photos, '--report', 'made.json'], {
      cwd: folder.path(),
    });
    const { layers } = JSON.parse(await readFile(folder.path('made.json'), 'utf8'));
    const worst = layers.sort((a: { sqnrDb: number }, b: { sqnrDb: number }) => a.sqnrDb - b.sqnrDb)[0];
    const { code, stdout } = await ivit(['eval', '-m', 'made.ivit', '--dataset', 'val', '--layers', '2'], {
      cwd: folder.path(),
    });
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n').slice(-3);
    expect(lines[1].trim().split(/ {2,}/)).toEqual([worst.name, `${worst.sqnrDb.toFixed(1)} dB`]);
    const json = await ivit(['eval', '-m', 'made.ivit', '--dataset', 'val', '--layers', '--json'], {
      cwd: folder.path(),
    });
    expect(JSON.parse(json.stdout).layers).toHaveLength(layers.length);

    const without = await run('--dataset', 'val', '--layers');
    expect(without).toMatchObject({
      code: 3,
      stdout: '',
      stderr: 'error: The model says nothing of its layers; quantize it again for --layers\n',
    });
  });

  test('--predictions writes one line an image, --limit spreads over the dataset', async () => {
    const { code } = await run('--dataset', 'val', '--limit', '3', '--predictions', 'p.csv');
    expect(code).toBe(0);
    const lines = (await readFile(folder.path('p.csv'), 'utf8')).split('\n');
    expect(lines[0]).toBe('path,label,prediction,probability,correct');
    expect(lines.slice(1, 4).map((line) => line.split(',').slice(0, 2))).toEqual([
      ['val/cat/0.png', '0'],
      ['val/dog/0.png', '1'],
      ['val/newt/0.png', '2'],
    ]);
    expect(lines.slice(4)).toEqual(['']);
    const decided = await decisions(['val/cat/0.png', 'val/dog/0.png', 'val/newt/0.png']);
    expect(lines.slice(1, 4).map((line) => Number(line.split(',')[2]))).toEqual(decided);
  });

  test('--float compares with the ONNX model on the same images', async () => {
    const quantized = await ivit(
      [
        'quantize',
        'float.onnx',
        '--images',
        'val',
        '--crop-pct',
        '1',
        '--mean',
        '0.5',
        '--std',
        '0.5',
        '-o',
        'quantized.ivit',
      ],
      { cwd: folder.path() },
    );
    expect(quantized.code).toBe(0);
    const { code, stdout } = await ivit(
      ['eval', '-m', 'quantized.ivit', '--dataset', 'val', '--float', 'float.onnx', '--json'],
      { cwd: folder.path() },
    );
    expect(code).toBe(0);
    const { float } = JSON.parse(stdout);
    expect(float).toMatchObject({
      top1: expect.any(Number),
      top5: 1,
      agreement: expect.any(Number),
      kl: expect.any(Number),
      sqnrDb: expect.any(Number),
    });
    expect(float.sqnrDb).toBeGreaterThan(15);
    expect(float.agreement).toBeGreaterThanOrEqual(8 / 9);
  });
});

describe('eval refuses', () => {
  test.each<[string, string[], number, RegExp]>([
    ['no dataset named', [], 2, /^error: required option '--dataset <dir>' not specified/],
    ['a dataset that is not there', ['--dataset', 'absent'], 3, /^error: No such file or folder: absent\n$/],
    ['a folder that is no dataset', ['--dataset', 'val/cat'], 3, /^error: val\/cat is not a dataset/],
    [
      'a class index out of range',
      ['--dataset', 'beyond'],
      3,
      /^error: beyond\/labels\.txt, line 2: class index 3, but .* 3 classes, .* \(do the indices count from 1\?\)\n$/,
    ],
    [
      'predictions that cannot be written',
      ['--dataset', 'val', '--predictions', 'no/p.csv'],
      3,
      /^error: Cannot write no\/p\.csv: there is no folder no; make it first\n$/,
    ],
    ['a float model that is not there', ['--dataset', 'val', '--float', 'absent.onnx'], 3, /^error: .*absent\.onnx/],
    [
      'a float model of another size',
      ['--dataset', 'val', '--float', 'float.onnx'],
      3,
      /^note: float\.onnx is not the file [^\n]*tiny\.onnx\)\.\nerror: float\.onnx cannot be run on 8×8 pixels: .*\n$/,
    ],
    [
      'a model that is not there, of several',
      ['--dataset', 'val', '-m', 'absent.ivit'],
      3,
      /^error: absent\.ivit: there is no such file\n$/,
    ],
  ])('%s', async (_what, args, code, message) => {
    await mkdir(folder.path('beyond'), { recursive: true });
    await writeFile(folder.path('beyond', 'labels.txt'), 'a.png 0\nb.png 3\n');
    const before = await folder.files();
    const outcome = await run(...args);
    expect(outcome.stderr).toMatch(message);
    expect(outcome).toMatchObject({ code, stdout: '' });
    expect(await folder.files()).toEqual(before);
  });

  test('a dataset whose images are all broken', async () => {
    await mkdir(folder.path('all'));
    await writeFile(folder.path('all', 'x.png'), 'no image');
    await writeFile(folder.path('all', 'labels.txt'), 'x.png 0\n');
    const { code, stderr } = await run('--dataset', 'all');
    expect(stderr).toMatch(/^error: No usable image in all: Cannot decode all\/x\.png: .*\n$/);
    expect(code).toBe(3);
  });
});
