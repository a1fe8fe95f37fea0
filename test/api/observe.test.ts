/** Calibration in parts. */
import { copyFileSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';
import { loadStatistics } from '../../src/api/statistics-file.js';
import type { SavedStatistics } from '../../src/api/statistics-file.js';
import { Model } from '../../src/api/model.js';
import { hashFile } from '../../src/api/hash.js';
import { observe } from '../../src/api/observe.js';
import { quantize } from '../../src/api/quantize.js';
import { decodeContainer } from '../../src/program/container.js';
import { ivit, savePhoto, saveTinyOnnx, temporaryFolder } from '../cli/ivit.js';

const folder = temporaryFolder();
const at = (name: string): string => folder.path(name);
const preprocess = { preset: 'raw', cropPct: 1 } as const;
const part = (index: number, count: number, name: string, more: object = {}) =>
  observe(at('float.onnx'), {
    images: at('photos'),
    saveStats: at(name),
    shard: { index, count },
    preprocess,
    ...more,
  });
const merged = (...names: string[]) =>
  quantize(at('float.onnx'), { stats: names.map(at), preprocess, effort: 'fast', output: at('merged.ivit') });
const refusal = (...names: string[]): Promise<string> =>
  merged(...names).then(
    () => 'nothing was refused',
    (error: Error) => error.message,
  );

beforeAll(async () => {
  await saveTinyOnnx(at('float.onnx'));
  for (let i = 0; i < 10; i++) await savePhoto(folder.path('photos', `${i}.png`), i, 16);
  for (const i of [1, 2, 3]) await part(i, 3, `${i}.stats`);
  await part(1, 1, 'whole.stats');
}, 60_000);

async function read(...names: string[]): Promise<SavedStatistics['statistics']> {
  const { metadata, tensors } = decodeContainer(Uint8Array.from(gunzipSync(readFileSync(at(names[0]!)))));
  const channels = [...tensors].filter(([name]) => name.endsWith('.histogram'));
  const subject = { sha256: await hashFile(at('float.onnx')), preprocessing: metadata.get('preprocessing')! };
  const wanted = new Map(channels.map(([name, { shape }]) => [name.replace(/\.histogram$/, ''), shape[0]!]));
  return (await loadStatistics(names.map(at), subject, wanted)).statistics;
}

test('the statistics of all parts together are those of one pass over all images', async () => {
  const [parts, whole] = [await read('1.stats', '2.stats', '3.stats'), await read('whole.stats')];
  expect(parts.size).toBeGreaterThan(5);
  for (const [id, one] of whole) {
    const other = parts.get(id)!;
    expect([other.images, other.count]).toEqual([10, one.count]);
    for (const field of ['min', 'max', 'nextMin', 'nextMax', 'histogram', 'reach'] as const)
      expect(other[field], `${id}.${field}`).toEqual(one[field]);
    other.sum.forEach((sum, c) => expect(sum).toBeCloseTo(one.sum[c]!, 6));
  }
});

test('quantize takes them', async () => {
  await merged('1.stats', '2.stats', '3.stats');
  const model = await Model.load(at('merged.ivit'));
  expect(model.file.provenance.settings['statisticsImages']).toBe('10');
  await model.close();
});

test('parts that come twice, are missing, or are of other images are refused', async () => {
  copyFileSync(at('2.stats'), at('again.stats'));
  expect(await refusal('1.stats', '2.stats', 'again.stats', '3.stats')).toMatch(
    /again\.stats and .*2\.stats are the same shard, 2\/3/,
  );
  expect(await refusal('1.stats', '3.stats')).toMatch(/^Statistics of shards 2\/3 are missing/);
  await part(2, 4, 'four.stats');
  expect(await refusal('1.stats', 'four.stats')).toMatch(
    /four\.stats, shard 2\/4, is of other images or of another split/,
  );
  await part(2, 3, 'fewer.stats', { numImages: 6 });
  expect(await refusal('1.stats', 'fewer.stats')).toMatch(
    /is of other images or of another split than .*1\.stats, shard 1\/3/,
  );
  await expect(part(11, 11, 'none.stats', { numImages: 5 })).resolves.toMatchObject({ images: 1 });
  await expect(part(1, 11, 'none.stats', { numImages: 5 })).rejects.toThrow(/there are more shards than images/);
});

test('the command saves statistics alone', async () => {
  const args = ['quantize', 'float.onnx', '--images', 'photos', '--preset', 'raw', '--crop-pct', '1', '--shard', '2/3'];
  const { code, stdout } = await ivit([...args, '--save-stats', 'command.stats'], { cwd: folder.path() });
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'Saved statistics of 3 images, shard 2/3, to command.stats\n' });
  expect(readFileSync(at('command.stats'))).toEqual(readFileSync(at('2.stats')));
  const without = await ivit(args, { cwd: folder.path() });
  expect(without).toMatchObject({ code: 2, stdout: '' });
  expect(without.stderr).toMatch(/give --images and --save-stats/);
  const both = await ivit([...args, '--save-stats', 'x.stats', '-o', 'x.ivit'], { cwd: folder.path() });
  expect(both.code).toBe(2);
  expect(both.stderr).toMatch(/--shard only saves statistics/);
});
