/** What `ivit eval` writes beside its figures, and datasets that are files. */
import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import sharp from 'sharp';
import { create } from 'tar';
import { beforeAll, expect, test } from 'vitest';
import { ivit, savePhoto, saveTinyModel, saveTinyOnnx, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();
const CLASSES = ['cat', 'dog', 'newt'];
const text = (name: string): string => readFileSync(folder.path(name), 'utf8');

beforeAll(async () => {
  await saveTinyModel(folder.path('tiny.ivit'));
  await saveTinyModel(folder.path('same.ivit'));
  await saveTinyOnnx(folder.path('float.onnx'));
  const names: string[] = [];
  const images: Uint8Array[] = [];
  for (const [label, name] of CLASSES.entries())
    for (const i of [0, 1, 2]) {
      const key = `${label}${i}`;
      await savePhoto(folder.path('val', name, `${i}.png`), 3 * label + i, 16);
      images.push(readFileSync(folder.path('val', name, `${i}.png`)));
      writeFileSync(folder.path(`${key}.png`), images.at(-1)!);
      writeFileSync(folder.path(`${key}.cls`), String(label));
      names.push(`${key}.png`, `${key}.cls`);
    }
  await create({ file: folder.path('val.tar'), cwd: folder.path() }, names);
  writeFileSync(folder.path('val.tar.gz'), gzipSync(readFileSync(folder.path('val.tar'))));
  const labels = Int32Array.from(images, (_, i) => Math.floor(i / 3));
  const columnData = [
    { name: 'image', data: images, type: 'BYTE_ARRAY' as const },
    { name: 'label', data: labels, type: 'INT32' as const },
  ];
  writeFileSync(folder.path('val.parquet'), new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 4 })));
});

const run = (...args: string[]) => ivit(['eval', ...args], { cwd: folder.path() });

function figuresOf(stdout: string): object {
  const { imagesPerSecond: _, latencyMs: _latency, turned: _turned, ...rest } = JSON.parse(stdout);
  return rest;
}

test.each(['val.tar', 'val.tar.gz', 'val.parquet'])('%s gives the figures of the folder', async (source) => {
  const args = ['-m', 'tiny.ivit', '--json', '--dataset'];
  const { code, stdout, stderr } = await run(...args, source);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(figuresOf(stdout)).toEqual(figuresOf((await run(...args, 'val')).stdout));
});

test('an archive calibrates, with or without classes', async () => {
  const { code, stdout } = await ivit(
    ['quantize', 'float.onnx', '--images', 'val.tar', '--preset', 'raw', '--effort', 'fast', '-o', 'q.ivit', '--json'],
    { cwd: folder.path() },
  );
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ images: 9, skipped: [] });
});

test('several models: one table of results, a line of each', async () => {
  const args = ['--dataset', 'val', '--results-file', 'results.csv'];
  const { code, stdout } = await run('-m', 'tiny.ivit', 'same.ivit', ...args, '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout).models.map(({ model }: { model: string }) => model)).toEqual(['tiny.ivit', 'same.ivit']);
  expect((await run('-m', 'tiny.ivit', ...args)).code).toBe(0);
  const [header, ...lines] = text('results.csv')
    .trimEnd()
    .split('\n')
    .map((line) => line.split(','));
  expect(lines.map(([model]) => model)).toEqual(['tiny.ivit', 'same.ivit', 'tiny.ivit']);
  expect(lines.every((line) => line.length === header!.length)).toBe(true);
  const top1 = JSON.parse(stdout).models[0].top1;
  expect(lines.map((line) => Number(line[header!.indexOf('top1')]))).toEqual([top1, top1, top1]);

  writeFileSync(folder.path('other.csv'), 'a,b\n1,2\n');
  const refused = await run('-m', 'tiny.ivit', '--dataset', 'val', '--results-file', 'other.csv');
  expect(refused).toMatchObject({ code: 3, stdout: '' });
  expect(refused.stderr).toMatch(/other\.csv is there already and is no table of results/);
  expect(text('other.csv')).toBe('a,b\n1,2\n');
  const both = await run('-m', 'tiny.ivit', 'same.ivit', '--dataset', 'val', '--predictions', 'p.csv');
  expect(both).toMatchObject({ code: 2, stdout: '' });
  expect(both.stderr).toMatch(/^error: --predictions is of one model/);
});

test('runs at the same time append whole lines to one table', async () => {
  const args = ['-m', 'tiny.ivit', '--dataset', 'val', '--limit', '1', '--results-file', 'shared.csv'];
  await Promise.all(Array.from({ length: 4 }, () => run(...args)));
  const lines = text('shared.csv').trimEnd().split('\n');
  expect(lines).toHaveLength(5);
  expect(new Set(lines.map((line) => line.split(',').length)).size).toBe(1);
});

test('the confusion matrix as a table and as a picture', async () => {
  const args = ['-m', 'tiny.ivit', '--dataset', 'val', '--predictions', 'p.csv', '--classes'];
  const { code, stdout } = await run(...args, '--confusion', 'matrix.csv');
  expect(code).toBe(0);
  expect(stdout).toMatch(/Least accurate of 3 classes:\n/);
  const rows = text('p.csv')
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split(','));
  const count = (label: number, prediction: number): number =>
    rows.filter((row) => Number(row[1]) === label && Number(row[2]) === prediction).length;
  const expected = CLASSES.map((name, i) => [name, ...CLASSES.map((_, j) => count(i, j))].join(','));
  expect(text('matrix.csv')).toBe(['class,cat,dog,newt', ...expected, ''].join('\n'));

  expect((await run(...args, '--confusion', 'matrix.png')).code).toBe(0);
  const { data, info } = await sharp(readFileSync(folder.path('matrix.png')))
    .greyscale()
    .raw()
    .toBuffer({ resolveWithObject: true });
  expect(info).toMatchObject({ width: 999, height: 999 });
  const shade = (i: number, j: number): number => data[(333 * i + 166) * 999 + 333 * j + 166]!;
  for (const i of [0, 1, 2])
    for (const j of [0, 1, 2]) expect(shade(i, j)).toBe(255 - Math.round(255 * Math.sqrt(count(i, j) / 3)));
  expect((await run(...args, '--confusion', 'matrix.gif')).stderr).toMatch(/written as \.csv or \.png/);
});

test('several classes of an image: the first decision is right where it is one of them; mAP is told', async () => {
  writeFileSync(folder.path('several.csv'), 'image,labels\n00.png,0;1;2\n01.png,1\n10.png,[]\n20.png,0;2\n');
  const { code, stdout, stderr } = await run(
    '-m',
    'tiny.ivit',
    '--dataset',
    'several.csv',
    '--json',
    '--predictions',
    's.csv',
  );
  expect(code).toBe(0);
  expect(stderr).toMatch(/3 of 4 images have no class or several: .*; mAP is that of all their classes\./);
  const rows = text('s.csv')
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split(','));
  expect(rows.map(([, label]) => label)).toEqual(['0;1;2', '1', '', '0;2']);
  const right = rows.map(([, label, prediction, , correct]) => [label!.split(';').includes(prediction!), correct]);
  expect(
    right.map(([isRight, correct], i) => (i === 2 ? correct === '' : Number(isRight) === Number(correct))),
  ).toEqual([true, true, true, true]);
  const { top1, meanAveragePrecision } = JSON.parse(stdout);
  expect(top1).toBe(right.filter(([isRight], i) => i !== 2 && isRight).length / 3);
  expect(meanAveragePrecision).toBeGreaterThan(0);
});

test('--class-map names the classes of a dataset in the order of the model', async () => {
  writeFileSync(folder.path('codes.csv'), 'image,class\n00.png,n01\n10.png,n02\n');
  writeFileSync(folder.path('map.txt'), 'n01\nn02\nn03\n');
  const { code, stdout } = await run('-m', 'tiny.ivit', '--dataset', 'codes.csv', '--class-map', 'map.txt', '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout).classAccuracy.map(({ label }: { label: number }) => label)).toEqual([0, 1]);
  expect((await run('-m', 'tiny.ivit', '--dataset', 'codes.csv')).stderr).toMatch(/class n01 is neither an index/);
});
