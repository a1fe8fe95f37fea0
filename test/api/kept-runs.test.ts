/** What one quantization keeps, another with other settings need not do: to the same bytes. */
import { existsSync, readFileSync, rmSync, truncateSync, statSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { quantize } from '../../src/index.js';
import type { QuantizeRequest } from '../../src/index.js';
import { ivit, savePhoto, saveTinyOnnx, temporaryFolder } from '../cli/ivit.js';

const folder = temporaryFolder();
const kept = (): string => folder.path('kept.stats');

interface Told {
  readonly content: Buffer;
  readonly notices: string;
  /** What each stage said last that it has to do. */
  readonly stages: Map<string, number>;
}

async function run(request: QuantizeRequest): Promise<Told> {
  const notices: string[] = [];
  const stages = new Map<string, number>();
  const { output } = await quantize(folder.path('model.onnx'), {
    output: folder.path('out.ivit'),
    images: folder.path('photos'),
    threads: 1,
    onNotice: (text) => notices.push(text),
    onProgress: (stage, _, total) => stages.set(stage, total),
    ...request,
  });
  return { content: readFileSync(output), notices: notices.join('\n'), stages };
}

let first: Told;

beforeAll(async () => {
  await saveTinyOnnx(folder.path('model.onnx'));
  for (let i = 0; i < 20; i++) await savePhoto(folder.path('photos', `${i}.png`), i);
  for (let i = 0; i < 3; i++) await savePhoto(folder.path('others', `${i}.png`), 100 + i);
  first = await run({ saveStats: kept() });
});

describe('quantize with the statistics of a run on the same images', () => {
  test.each<[string, QuantizeRequest]>([
    ['the same settings', {}],
    ['weights of fewer bits', { weightBits: 6 }],
    ['other kernels', { kernels: 'lut', scales: 'dynamic' }],
    ['ranges by histogram', { method: 'mse' }],
    ['ranges in the order of the images', { method: 'momentum', effort: 'fast' }],
    ['bits shared out', { target: { bits: 5 } }],
  ])('and %s: the same bytes as without, and no run of the float model twice', async (_, settings) => {
    const alone = await run(settings);
    const again = await run({ ...settings, stats: [kept()] });
    expect(again.content.equals(alone.content)).toBe(true);
    expect(again.notices).toContain(`What the float model gave is taken from ${kept()}.runs`);
    expect([...first.stages.keys()]).toEqual(expect.arrayContaining(['recipe', 'calibrate', 'sensitivity']));
    expect([again.stages.has('recipe'), again.stages.has('calibrate')]).toEqual([false, false]);
    if (Object.keys(settings).every((key) => key === 'weightBits')) expect(again.stages.has('sensitivity')).toBe(false);
  });

  test('what was taken over is kept for others', async () => {
    await run({ stats: [kept()], saveStats: folder.path('second.stats'), weightBits: 4 });
    const third = await run({ stats: [folder.path('second.stats')], weightBits: 4 });
    expect([...third.stages.keys()]).toEqual(['import', 'images', 'quantize']);
  });

  test('of other settings of the float model, or damaged: it runs again, to the same bytes, and says so', async () => {
    const runs = `${kept()}.runs`;
    const other = await run({ stats: [kept()], threads: 2 });
    expect(other.content.equals(first.content)).toBe(true);
    expect(other.notices).toContain(`${runs} is of another number of threads: the float model runs again.`);
    expect(other.stages.has('calibrate')).toBe(true);
    truncateSync(runs, Math.floor(statSync(runs).size / 2));
    const cut = await run({ stats: [kept()] });
    expect(cut.content.equals(first.content)).toBe(true);
    expect(cut.stages.has('calibrate')).toBe(true);
    expect(cut.notices).toContain(`${runs} is damaged, or of another version of ivit: the float model runs again.`);
    rmSync(runs);
    const gone = await run({ stats: [kept()] });
    expect(gone.content.equals(first.content)).toBe(true);
    expect(gone.notices).not.toContain('.runs');
  });

  test('of other images: ranges are chosen on both', async () => {
    const both = await run({ stats: [kept()], images: folder.path('others') });
    expect(both.notices).not.toContain('.runs');
    expect(both.stages.has('calibrate')).toBe(true);
    const alone = await run({ images: folder.path('others') });
    expect(both.content.equals(alone.content)).toBe(false);
  });

  test('a file of another kind that lies there is not replaced', async () => {
    const { code, stderr } = await ivit(
      ['quantize', 'model.onnx', '--save-stats', 'model.onnx', '-o', 'x.ivit', '--images', 'others'],
      { cwd: folder.path() },
    );
    expect({ code, written: existsSync(folder.path('x.ivit')) }).toEqual({ code: 3, written: false });
    expect(stderr).toContain('choose another name');
  });
});
