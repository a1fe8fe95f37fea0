/** What may be merged, and what is refused; float logits that are kept. */
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { evaluate } from '../../src/api/evaluate.js';
import { mergeEvaluations } from '../../src/api/merge.js';
import type { PartHeader, Row } from '../../src/api/part-file.js';
import { openPart } from '../../src/api/part-reader.js';
import { PartWriter } from '../../src/api/part-writer.js';
import type { EvaluateRequest } from '../../src/api/requests.js';
import { quantize } from '../../src/api/quantize.js';
import { chosenIndices, shardsOf } from '../../src/api/shard.js';
import { savePhoto, saveTinyModel, saveTinyOnnx, temporaryFolder } from '../cli/ivit.js';

const folder = temporaryFolder();
const CLASSES = ['cat', 'dog', 'newt'];
const at = (name: string): string => folder.path(name);

beforeAll(async () => {
  await saveTinyModel(at('tiny.ivit'));
  await saveTinyOnnx(at('float.onnx'));
  let seed = 0;
  for (const name of CLASSES)
    for (const i of [0, 1, 2]) await savePhoto(folder.path('val', name, `${i}.png`), seed++, 16);
  const preprocess = { preset: 'raw', cropPct: 1 } as const;
  const request = { images: at('val'), effort: 'fast', preprocess } as const;
  await quantize(at('float.onnx'), { ...request, output: at('model.ivit') });
  await quantize(at('float.onnx'), { ...request, output: at('other.ivit'), kernels: 'lut' });
}, 60_000);

const run = (more: Partial<EvaluateRequest> = {}, model = 'model.ivit') =>
  evaluate(at(model), { dataset: at('val'), ...more });
const part = (index: number, count: number, name: string, more: Partial<EvaluateRequest> = {}) =>
  run({ shard: { index, count }, out: at(name), ...more });
const refusal = (...names: string[]): Promise<string> =>
  mergeEvaluations(names.map(at)).then(
    () => 'nothing was refused',
    (error: Error) => error.message,
  );

/** What does not depend on the time of day, or on what gave the float side. */
function figuresOf(evaluation: Awaited<ReturnType<typeof evaluate>>): object {
  const { imagesPerSecond: _, latencyMs: _latency, float, ...rest } = evaluation;
  return { ...rest, float: { ...float, runtime: '' } };
}

describe('merging', () => {
  test('more shards than images: empty parts count; parts lie in folders of folders', async () => {
    mkdirSync(at('many/deep'), { recursive: true });
    for (let i = 1; i <= 12; i++) await part(i, 12, `many/${i % 3 === 0 ? 'deep/' : ''}${i}.jsonl`);
    const { evaluation, overlapping } = await mergeEvaluations([at('many')]);
    expect(figuresOf(evaluation)).toEqual(figuresOf(await run()));
    expect(overlapping).toBe(0);
    rmSync(at('many/deep'), { recursive: true });
    expect(await refusal('many')).toMatch(/^\d images are in no part: shards .* are missing\. Run ivit eval … --shard/);
  });

  test('of a part that is of another run is refused, with the reason', async () => {
    await part(1, 2, 'a.jsonl');
    await part(2, 2, 'b.jsonl');
    expect(await refusal('a.jsonl', 'b.jsonl')).toBe('nothing was refused');
    await part(2, 2, 'model.jsonl').then(() =>
      evaluate(at('other.ivit'), { dataset: at('val'), shard: { index: 2, count: 2 }, out: at('model.jsonl') }),
    );
    expect(await refusal('a.jsonl', 'model.jsonl')).toMatch(/model\.jsonl is of another model \(float\.onnx, sha256:/);
    mkdirSync(at('fewer'));
    for (const name of CLASSES) {
      mkdirSync(at(`fewer/${name}`));
      copyFileSync(at(`val/${name}/0.png`), at(`fewer/${name}/0.png`));
    }
    await part(2, 2, 'fewer.jsonl', { dataset: at('fewer') });
    expect(await refusal('a.jsonl', 'fewer.jsonl')).toMatch(/fewer\.jsonl is of another dataset \(.*fewer: 3 images;/);
    await part(2, 2, 'exif.jsonl', { exif: 'apply' });
    expect(await refusal('a.jsonl', 'exif.jsonl')).toMatch(/exif\.jsonl is of other settings \(.*"exif":"apply"/);
    await part(2, 2, 'limit.jsonl', { limit: 6 });
    expect(await refusal('a.jsonl', 'limit.jsonl')).toMatch(/limit\.jsonl is of other settings \(.*"limit":6/);
    await part(2, 2, 'float.jsonl', { float: at('float.onnx') });
    expect(await refusal('a.jsonl', 'float.jsonl')).toMatch(/float\.jsonl is with another float model/);
  });

  test('of the same dataset elsewhere is none of another dataset', async () => {
    mkdirSync(at('moved'));
    for (const name of CLASSES) {
      mkdirSync(at(`moved/${name}`));
      for (const i of [0, 1, 2]) copyFileSync(at(`val/${name}/${i}.png`), at(`moved/${name}/${i}.png`));
    }
    await part(1, 2, 'here.jsonl');
    await part(2, 2, 'there.jsonl', { dataset: at('moved') });
    const { evaluation } = await mergeEvaluations([at('here.jsonl'), at('there.jsonl')]);
    expect(evaluation.top1).toBe((await run()).top1);
    // Other content under the same name is found where parts overlap.
    copyFileSync(at('val/cat/1.png'), at('moved/cat/0.png'));
    await part(1, 1, 'changed.jsonl', { dataset: at('moved') });
    expect(await refusal('here.jsonl', 'changed.jsonl')).toMatch(
      /disagree about image 0, .*cat.0\.png: its integer outputs are/,
    );
  });

  test('of parts that are damaged, missing or none is refused', async () => {
    await part(1, 2, 'c.jsonl');
    await part(2, 2, 'd.jsonl');
    expect(await refusal('c.jsonl')).toMatch(/^5 images are in no part: shard 2\/2 is missing/);
    const lines = readFileSync(at('d.jsonl'), 'utf8').split('\n');
    const write = (...kept: string[]) => writeFileSync(at('d.jsonl'), kept.join('\n'));
    write(...lines.slice(0, 3));
    expect(await refusal('c.jsonl', 'd.jsonl')).toMatch(
      /d\.jsonl is not whole: it ends after 2 images\. Run its shard/,
    );
    const otherRows = /d\.jsonl is damaged: its rows are not those of its images, in order\. Run its shard again/;
    write(...lines.slice(0, 2), ...lines.slice(3));
    expect(await refusal('c.jsonl', 'd.jsonl')).toMatch(otherRows);
    write(lines[0]!, lines[2]!, lines[1]!, ...lines.slice(3));
    expect(await refusal('c.jsonl', 'd.jsonl')).toMatch(otherRows);
    const [row] = lines.slice(1) as [string];
    write(lines[0]!, row.replace(/"rank":\d/, '"rank":2').replace(/"ms":\d+/, '"ms":77'), ...lines.slice(2));
    expect(await refusal('c.jsonl', 'd.jsonl')).toMatch(/d\.jsonl is damaged: its checksum is another/);
    write(lines[0]!, row.replace('"digest"', '"float":{"prediction":0},"digest"'), ...lines.slice(2));
    expect(await refusal('c.jsonl', 'd.jsonl')).toMatch(/d\.jsonl is damaged: it holds a row that is none/);
    writeFileSync(at('d.jsonl'), lines.join('\r\n'));
    expect(await refusal('c.jsonl', 'd.jsonl')).toBe('nothing was refused');
    write(lines[0]!, '{"index": 4}', ...lines.slice(2));
    expect(await refusal('c.jsonl', 'd.jsonl')).toMatch(/d\.jsonl is damaged: it holds a row that is none/);
    write(lines[0]!.replace('"version":1', '"version":2'), ...lines.slice(1));
    expect(await refusal('c.jsonl', 'd.jsonl')).toMatch(/d\.jsonl is of version 2; this program reads version 1/);
    write('text');
    expect(await refusal('c.jsonl', 'd.jsonl')).toMatch(/d\.jsonl is no part of an evaluation/);
    expect(await refusal('absent.jsonl')).toMatch(/No such file: .*absent\.jsonl/);
    expect(await refusal('val')).toMatch(/holds no parts of an evaluation/);
  });
});

describe('one file written by two runs at a time', () => {
  const header = (): PartHeader => JSON.parse(readFileSync(at('c.jsonl'), 'utf8').split('\n')[0]!) as PartHeader;
  const row = (index: number): Row => ({ index, path: `${index}.png`, skipped: 'no image' });
  const givenUp = /Another run writes .*two\.jsonl at the same time: this one is given up/;

  test.each([false, true])('the one that began last goes on (resumed: %s), the other gives up', async (resume) => {
    await part(1, 2, 'c.jsonl');
    const first = await PartWriter.open(at('two.jsonl'), header(), false);
    first.add(row(0));
    const second = await PartWriter.open(at('two.jsonl'), header(), resume);
    expect(second.earlier).toHaveLength(resume ? 1 : 0);
    expect(() => first.add(row(1))).toThrow(givenUp);
    expect(() => first.finish({ timed: 1, seconds: 1 })).toThrow(givenUp);
    first.giveUp();
    for (const index of [0, 1, 2, 3].slice(second.earlier.length)) second.add(row(index));
    second.finish({ timed: 4, seconds: 1 });
    second.giveUp();
    const rows = (await openPart(at('two.jsonl'))).rows();
    for (const index of [0, 1, 2, 3]) expect((await rows.next()).value).toEqual(row(index));
    expect((await rows.next()).done).toBe(true);
    expect(readdirSync(at('.')).filter((name) => name.includes('partial'))).toEqual([]);
    rmSync(at('two.jsonl'));
  });
});

test('missing shards of a split into very many are named without going through all', () => {
  const choice = { items: 10, limit: null };
  expect(shardsOf(choice, 999_999_999, new Set([0, 9]))).toEqual([100_000_000, 999_999_999]);
  const all = Array.from({ length: 7 }, (_, i) => i + 1);
  for (const image of chosenIndices({ items: 23, limit: 17 }, { index: 1, count: 1 }))
    expect(shardsOf({ items: 23, limit: 17 }, 7, new Set([image]))).toEqual(
      all.filter((index) => chosenIndices({ items: 23, limit: 17 }, { index, count: 7 }).includes(image)),
    );
});

describe('float logits', () => {
  test('that were kept give the same figures, digit for digit, of every part', async () => {
    const kept = await run({ float: at('float.onnx'), saveFloat: at('all.f32') });
    const again = await run({ float: at('all.f32') });
    expect(figuresOf(again)).toEqual(figuresOf(kept));
    expect(again.float!.runtime).toBe(`${kept.float!.runtime}, kept`);
    // Another integer model of the same float model.
    const other = await run({ float: at('all.f32') }, 'other.ivit');
    expect(figuresOf(other)).toEqual(figuresOf(await run({ float: at('float.onnx') }, 'other.ivit')));
    expect(figuresOf(await run({ float: at('all.f32'), limit: 4 }))).toEqual(
      figuresOf(await run({ float: at('float.onnx'), limit: 4 })),
    );
  });

  test('are not kept of a run that is whole: that is told', async () => {
    await run({ float: at('float.onnx'), out: at('done.jsonl') });
    const again = run({ float: at('float.onnx'), out: at('done.jsonl'), resume: true, saveFloat: at('absent.f32') });
    await expect(again).rejects.toThrow(/done\.jsonl is whole, and .*absent\.f32 is not there: leave out --resume/);
  });

  test('lie in a safetensors file', () => {
    const bytes = readFileSync(at('all.f32'));
    const length = Number(bytes.readBigUInt64LE());
    const header = JSON.parse(bytes.subarray(8, 8 + length).toString());
    expect(header).toMatchObject({ logits: { dtype: 'F32', shape: [9, 3] }, pixels: { shape: [9, 32] } });
    expect(bytes.length).toBe(8 + length + header.pixels.data_offsets[1]);
  });

  test('of anything else are refused', async () => {
    const refused = (more: Partial<EvaluateRequest>, model?: string) =>
      run({ float: at('all.f32'), ...more }, model).then(
        () => 'nothing was refused',
        (error: Error) => error.message,
      );
    await run({ float: at('float.onnx'), saveFloat: at('four.f32'), limit: 4 });
    expect(await refused({ float: at('four.f32') })).toMatch(/four\.f32 has no logits of image 1 of the dataset/);
    expect(await refused({ dataset: at('val/cat') })).toMatch(/holds float logits of another dataset/);
    expect(await refused({}, 'tiny.ivit')).toMatch(/holds float logits of another model: .*\. Give the float model/);
    await quantize(at('float.onnx'), {
      images: at('val'),
      effort: 'fast',
      preprocess: { preset: 'inception' },
      output: at('inception.ivit'),
    });
    expect(await refused({}, 'inception.ivit')).toMatch(/holds float logits of another pre-processing/);
    await saveTinyOnnx(at('second.onnx'), 2);
    expect(await refused({ float: at('second.onnx'), saveFloat: at('x.f32') })).toMatch(/of the very ONNX file/);
    writeFileSync(at('cut.f32'), readFileSync(at('all.f32')).subarray(0, -1));
    expect(await refused({ float: at('cut.f32') })).toMatch(/cut\.f32 is cut off, or damaged/);
    copyFileSync(at('val/cat/1.png'), at('val/cat/0.png'));
    expect(await refused({})).toMatch(/holds logits of another image 0: the dataset's content has changed/);
    rmSync(at('all.f32'));
    expect(await refused({ float: undefined, saveFloat: at('x.f32') })).toMatch(/give it too \(--float model\.onnx\)/);
    expect(await refused({ float: undefined, resume: true })).toMatch(/give the file \(--out\)/);
  });
});
