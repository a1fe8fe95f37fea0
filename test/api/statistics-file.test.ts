import { readFile, writeFile } from 'node:fs/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { ChannelStatistics } from '../../src/calibrate/statistics.js';
import { InputError, Model, quantize } from '../../src/index.js';
import type { QuantizeRequest } from '../../src/index.js';
import { loadStatistics, saveStatistics } from '../../src/api/statistics-file.js';
import { ivit, savePhoto, saveTinyOnnx, temporaryFolder } from '../cli/ivit.js';

const folder = temporaryFolder();
const subject = { sha256: 'a'.repeat(64), preprocessing: '{}' };

function statisticsOf(...images: number[][]): ChannelStatistics {
  const statistics = new ChannelStatistics(2);
  for (const image of images) statistics.observe(Float32Array.from(image));
  return statistics;
}

describe('a file of statistics', () => {
  test('gives back every number; several are merged', async () => {
    const first = new Map([
      ['x', statisticsOf([0.1, -3, 2, 5e-20])],
      ['a.b', statisticsOf([1, 2])],
    ]);
    const second = new Map([
      ['x', statisticsOf([100, 0])],
      ['a.b', statisticsOf([7, 0])],
    ]);
    saveStatistics(folder.path('1.stats'), first, subject, { images: 'a' });
    saveStatistics(folder.path('2.stats'), second, subject, { images: 'b' });
    const channels = new Map([
      ['x', 2],
      ['a.b', 2],
    ]);
    expect(await loadStatistics([folder.path('1.stats')], subject, channels)).toEqual({
      statistics: first,
      images: new Set(['a']),
    });
    for (const [id, one] of first) one.merge(second.get(id)!);
    expect(
      await loadStatistics(
        ['1.stats', '2.stats'].map((name) => folder.path(name)),
        subject,
        channels,
      ),
    ).toEqual({ statistics: first, images: new Set(['a', 'b']) });
  });

  test('is refused where it belongs to something else, or is damaged', async () => {
    const file = folder.path('refused.stats');
    saveStatistics(file, new Map([['x', statisticsOf([1, 2])]]), subject, { images: 'a' });
    const load = (other = {}, channels = new Map([['x', 2]])) =>
      loadStatistics([file], { ...subject, ...other }, channels);
    await expect(load()).resolves.toMatchObject({ images: new Set(['a']) });
    await expect(load({ sha256: 'b'.repeat(64) })).rejects.toThrow(/refused\.stats holds statistics of another model/);
    await expect(load({ preprocessing: '{"size":[8,8]}' })).rejects.toThrow(
      /another pre-processing: \{\}, here \{"size":\[8,8\]\}/,
    );
    await expect(load({}, new Map([['y', 2]]))).rejects.toThrow(/other values.*\(y\)/);
    await expect(load({}, new Map([['x', 3]]))).rejects.toThrow(/damaged: the statistics of x are not complete/);
    const bytes = gunzipSync(await readFile(file));
    // The first of the doubles: all bits of its exponent set is NaN.
    const body = 8 + Number(bytes.readBigUInt64LE(0));
    for (const [damaged, message] of [
      [gzipSync(bytes.subarray(0, -1)), /damaged/],
      [bytes, /no file of calibration statistics/],
      [
        gzipSync(Buffer.concat([bytes.subarray(0, body), Buffer.alloc(8, 0xff), bytes.subarray(body + 8)])),
        /damaged: the statistics of x/,
      ],
      [
        gzipSync(Buffer.from(bytes.toString('latin1').replace('[1,1]', '[0,1]'), 'latin1')),
        /its counts cannot be read/,
      ],
      [
        gzipSync(Buffer.from(bytes.toString('latin1').replace('"version":"2"', '"version":"9"'), 'latin1')),
        /of version 9; this program reads version 2/,
      ],
    ] as const) {
      await writeFile(file, damaged);
      const error = await load().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(InputError);
      expect((error as Error).message).toMatch(message);
    }
  });
});

describe('quantizing with statistics', () => {
  const run = (output: string, request: QuantizeRequest) =>
    quantize(folder.path('model.onnx'), {
      output: folder.path(output),
      preprocess: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
      threads: 1,
      ...request,
    });

  beforeAll(async () => {
    await saveTinyOnnx(folder.path('model.onnx'));
    await saveTinyOnnx(folder.path('other.onnx'), 2);
    for (let i = 0; i < 12; i++) await savePhoto(folder.path(i < 6 ? 'left' : 'right', `${i}.png`), i, 16);
  });

  test('those of two folders, with no images; and merged with those of the images', async () => {
    for (const half of ['left', 'right'])
      await run(`${half}.ivit`, { images: folder.path(half), saveStats: folder.path(`${half}.stats`) });
    const notices: string[] = [];
    const stats = [folder.path('left.stats'), folder.path('right.stats')];
    const merged = await run('merged.ivit', {
      stats,
      numImages: 8,
      method: 'mse',
      saveStats: folder.path('both.stats'),
      onNotice: (text) => notices.push(text),
    });
    expect(merged).toMatchObject({ synthetic: true, images: 8 });
    expect(notices.join()).toContain('ranges come from the statistics, weights are fitted to 8 synthetic images');
    const model = await Model.load(merged.output, { backend: 'reference' });
    expect(model.file.provenance.settings['statisticsImages']).toBe('12');
    await model.close();

    const together = await run('together.ivit', { stats: [stats[1]], images: folder.path('left') });
    expect(together.synthetic).toBe(false);
    const ranges = (summary: typeof merged) => summary.layers.map(({ input }) => input.range);
    // Both have seen the same images; the order of merging does not matter to ranges.
    expect(ranges(together)).toEqual(ranges(merged));
    const again = await run('again.ivit', { stats: [folder.path('both.stats')], numImages: 8, method: 'mse' });
    expect(ranges(again)).toEqual(ranges(merged));
    expect((await readFile(again.output)).equals(await readFile(merged.output))).toBe(true);
  });

  test('of another model: refused on the command line, nothing written', async () => {
    const { code, stdout, stderr } = await ivit(
      [
        'quantize',
        'other.onnx',
        '--images',
        'left',
        '--mean',
        '0.5,0.5,0.5',
        '--std',
        '0.5,0.5,0.5',
        '--stats',
        'left.stats',
        'right.stats',
      ],
      { cwd: folder.path() },
    );
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toMatch(/error: left\.stats holds statistics of another model/);
    expect(await folder.files()).not.toContain('other.ivit');
  });
});
