import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { InputError, Model, UsageError, decodeImage } from '../../src/index.js';
import type { ImageInput, ImageResult } from '../../src/index.js';
import { savePhoto, saveTinyModel, temporaryFolder } from '../cli/ivit.js';

const folder = temporaryFolder();
const COUNT = 21;
let model: Model;
let paths: string[] = [];

beforeAll(async () => {
  await saveTinyModel(folder.path('tiny.ivit'));
  paths = Array.from({ length: COUNT }, (_, i) => folder.path('photos', `${i}.png`));
  await Promise.all(paths.map((file, i) => savePhoto(file, i)));
  model = await Model.load(folder.path('tiny.ivit'), { threads: 2 });
});

afterAll(() => model.close());

async function all(results: AsyncIterable<ImageResult>): Promise<ImageResult[]> {
  const found: ImageResult[] = [];
  for await (const result of results) found.push(result);
  return found;
}

describe('inferAll', () => {
  test('gives what infer gives, in the order of the images, of paths, bytes and pixels', async () => {
    const images: ImageInput[] = [];
    for (const [i, file] of paths.entries())
      images.push(i % 3 === 0 ? file : i % 3 === 1 ? await readFile(file) : await decodeImage(file));
    const found = await all(model.inferAll(images, { top: 2 }));
    expect(found.map(({ index }) => index)).toEqual([...images.keys()]);
    for (const [i, { input, ...result }] of found.entries()) {
      expect(input).toBe(images[i]);
      expect(result).toEqual({ index: i, ...(await model.infer(await decodeImage(paths[i]), { top: 2 })) });
    }
  });

  test('an image that cannot be used is an item with its error, and not the end', async () => {
    await writeFile(folder.path('broken.png'), 'no image');
    const wrong = { data: new Uint8Array(5), width: 1, height: 1 };
    const found = await all(
      model.inferAll([paths[0], folder.path('absent.png'), folder.path('broken.png'), wrong, 7 as never, paths[1]]),
    );
    expect(found.map(({ error }) => error?.code)).toEqual([
      undefined,
      'NOT_FOUND',
      'BAD_IMAGE',
      'USAGE',
      'USAGE',
      undefined,
    ]);
    expect(found[1].error).toBeInstanceOf(InputError);
    expect(found[3].error!.message).toBe('inferAll: data must have 3 bytes (1×1×3), not 5');
  });

  test('takes no more images than it needs, and ends the iteration of what is left', async () => {
    let [taken, isEnded] = [0, false];
    async function* endless(): AsyncGenerator<string> {
      try {
        for (;;) yield paths[taken++ % COUNT];
      } finally {
        isEnded = true;
      }
    }
    const results = model.inferAll(endless());
    expect(taken).toBe(0);
    for (let i = 0; i < 10; i++) await results.next();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(taken).toBeLessThanOrEqual(10 + 3 * 2 * model.threads + 1);
    await results.return(undefined);
    expect(isEnded).toBe(true);
  });

  test('a signal ends it, even while an image is waited for', async () => {
    const controller = new AbortController();
    async function* stuck(): AsyncGenerator<string> {
      yield* paths.slice(0, 4);
      await new Promise(() => undefined);
    }
    const seen: number[] = [];
    const reason = new Error('enough');
    await expect(async () => {
      setTimeout(() => controller.abort(reason), 50);
      for await (const { index } of model.inferAll(stuck(), { signal: controller.signal })) seen.push(index);
    }).rejects.toBe(reason);
    expect(seen.length).toBeLessThanOrEqual(4);
    await expect(model.inferAll(paths, { signal: controller.signal }).next()).rejects.toBe(reason);
  });

  test('what the images come from may fail, and says so', async () => {
    function* failing(): Generator<string> {
      yield paths[0];
      throw new Error('the camera is gone');
    }
    await expect(all(model.inferAll(failing()))).rejects.toThrow('the camera is gone');
  });

  test('a closed model ends it', async () => {
    const other = await Model.load(folder.path('tiny.ivit'), { threads: 1 });
    const results = other.inferAll(Array.from({ length: 50 }, () => paths[0]));
    await results.next();
    await other.close();
    await expect(all(results)).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test.each([
    ['a path for a list', () => model.inferAll('photos/')],
    ['bytes for a list', () => model.inferAll(new Uint8Array(3) as never)],
    ['an unknown option', () => model.inferAll(paths, { tops: 1 } as never)],
    ['no signal', () => model.inferAll(paths, { signal: {} as never })],
  ])('%s is refused at once', (_, call) => {
    expect(call).toThrow(UsageError);
  });

  test('no images give no results', async () => {
    expect(await all(model.inferAll([]))).toEqual([]);
  });
});
