import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SCENES } from '../scenes.js';
import { hasChromium, launch, openPage, serve, type Served } from './browser.js';
import { twentyImages } from './twenty-images.js';

const DIST = path.resolve(import.meta.dirname, '../../dist/web');
/** A page as simple as can be. */
const PAGE =
  '<!doctype html><meta charset="utf-8"><title>ivit</title><link rel="icon" href="data:,">' +
  '<script type="module">import * as ivit from "/ivit/index.js"; globalThis.ivit = ivit</script>';

type Ivit = typeof import('../../src/web/index.js');

test('the browser entry takes less than 150 KB, gzipped', () => {
  const sizes = ['index.js', 'worker.js', 'ivit.wasm', 'ivit-relaxed.wasm'].map(
    (name) => gzipSync(readFileSync(path.join(DIST, name)), { level: 9 }).length,
  );
  expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(150_000);
});

test('docs/deploy.md tells the sizes, within a tenth', () => {
  const page = readFileSync(path.join(DIST, '../../docs/deploy.md'), 'utf8');
  const kilobytes = (...names: string[]): number =>
    names.reduce((sum, name) => sum + gzipSync(readFileSync(path.join(DIST, name)), { level: 9 }).length, 0) / 1000;
  const files: Record<string, number> = {
    '`index.js`': kilobytes('index.js'),
    '`worker.js`': kilobytes('worker.js'),
    '`ivit-relaxed.wasm`': kilobytes('ivit-relaxed.wasm'),
    JPEG: kilobytes('codec-jpeg.js', 'mozjpeg_dec.wasm'),
    PNG: kilobytes('codec-png.js', 'squoosh_png_bg.wasm'),
    WebP: kilobytes('codec-webp.js', 'webp_dec.wasm'),
    BMP: kilobytes('decode.js'),
  };
  for (const [name, size] of Object.entries(files)) {
    const row = page.split('\n').find((line) => line.startsWith(`| ${name}`));
    const told = Number(/\| (\d+) KB/.exec(row ?? '')?.[1]);
    expect(Math.abs(told - size) / size, `${name}: ${told} KB, ${size.toFixed(1)} KB found`).toBeLessThan(0.1);
  }
});

test('it has nothing of Node, and imports no file but codecs', () => {
  for (const name of ['index.js', 'worker.js', 'decode.js']) {
    const text = readFileSync(path.join(DIST, name), 'utf8');
    expect(text).not.toMatch(/\bfrom\s*['"`]|\bimport\s*['"`]|\bimport\((?!"\.\/codec-)|\brequire\(/);
    expect(text).not.toMatch(/\bnode:|\bprocess\.|\bBuffer\b|\bsharp\b|onnx/);
  }
});

describe.skipIf(!hasChromium)('in Chromium', () => {
  let browser: Browser;
  let given: { data: number[]; width: number; height: number; digest: string }[];
  const servers: Served[] = [];

  beforeAll(async () => {
    given = (await twentyImages()).map(({ data, width, height, digest }) => ({
      data: Array.from(data),
      width,
      height,
      digest,
    }));
    browser = await launch();
  });
  afterAll(async () => {
    await browser?.close();
    for (const server of servers) await server.close();
  });

  async function open(isIsolated: boolean): Promise<{ page: Page; asked: string[]; url: string }> {
    const server = await serve({ '': PAGE, ivit: DIST, scenes: SCENES }, { isIsolated });
    servers.push(server);
    const opened = await openPage(browser, server.url);
    await opened.page.waitForFunction(() => 'ivit' in globalThis);
    return { ...opened, url: server.url };
  }

  const run = (page: Page, options: object = {}) =>
    page.evaluate(
      async ({ given, options }) => {
        const { loadModel, digestOf } = (globalThis as unknown as { ivit: Ivit }).ivit;
        const model = await loadModel('/scenes/scenes.ivit', options);
        const images = given.map(({ data, ...size }) => ({ data: Uint8Array.from(data), ...size }));
        const values = await model.runAll(images);
        const pixels = await model.prepare(images[0]);
        const again = await model.run(pixels);
        const { threads, info } = model;
        const [first] = model.predictions(values[0], 1);
        model.close();
        const closed = await model.run(pixels).catch((error: Error) => error.message);
        return { digests: values.map(digestOf), again: digestOf(again), threads, info, first, closed };
      },
      { given, options },
    );

  test.each([
    [false, 1],
    [true, 3],
  ])('twenty digests agree with the native backend, isolated: %s', async (isIsolated, threads) => {
    const { page, asked, url } = await open(isIsolated);
    const result = await run(page, { threads: 3 });
    expect(result.digests).toEqual(given.map(({ digest }) => digest));
    expect(result.again).toBe(given[0].digest);
    expect(result.threads).toBe(threads);
    expect(['relaxed-dot', 'simd128']).toContain(result.info.isa);
    expect(result.first.label).toBe('car');
    expect(result.closed).toBe('The model is closed');
    expect(asked.filter((one) => !one.startsWith(url))).toEqual([]);
    await page.close();
  });

  test('loading can be given up at every moment; errors have codes; a model is disposed of', async () => {
    const { page } = await open(true);
    const found = await page.evaluate(async () => {
      const { loadModel } = (globalThis as unknown as { ivit: Ivit }).ivit;
      const file = '/scenes/scenes.ivit';
      const bytes = new Uint8Array(await (await fetch(file)).arrayBuffer());
      const reasonOf = (work: Promise<unknown>): Promise<unknown> => work.then(String, (reason: unknown) => reason);
      const codeOf = (work: Promise<unknown>): Promise<string> =>
        work.then(String, (error: { code: string }) => error.code);
      const [downloading, starting] = [new AbortController(), new AbortController()];
      const onProgress = (): void => downloading.abort('while it is read');
      const reading = reasonOf(loadModel(file, { signal: downloading.signal, onProgress }));
      const loading = reasonOf(loadModel(bytes, { signal: starting.signal }));
      setTimeout(() => starting.abort('while it starts'));
      const reasons = [
        await reasonOf(loadModel(file, { signal: AbortSignal.abort('before') })),
        await reading,
        await loading,
      ];
      const later = new AbortController();
      const model = await loadModel(bytes, { signal: later.signal });
      later.abort('after');
      const image = { data: new Uint8Array(3), width: 1, height: 1 };
      const { length } = await model.run(image); // a signal that comes after loading changes nothing
      const damaged = bytes.slice();
      damaged[damaged.length - 1] ^= 1;
      const codes = [await codeOf(loadModel(damaged)), await codeOf(loadModel('/absent.ivit'))];
      (model as unknown as Record<symbol | string, () => void>)[Symbol.dispose ?? 'close']();
      return { reasons, codes: [...codes, await codeOf(model.run(image))], length };
    });
    expect(found.reasons).toEqual(['before', 'while it is read', 'while it starts']);
    expect(found.codes).toEqual(['BAD_IVIT', 'NOT_FOUND', 'CLOSED']);
    expect(found.length).toBe(12);
    await page.close();
  });

  test('images are those of the moment of the call, however long they wait', async () => {
    const { page } = await open(false);
    const [first, ...others] = await page.evaluate(async () => {
      const { loadModel, digestOf } = (globalThis as unknown as { ivit: Ivit }).ivit;
      const model = await loadModel('/scenes/scenes.ivit');
      const data = new Uint8Array(3 * 64 * 64);
      const image = { data, width: 64, height: 64 };
      const runs = [model.run(data), model.run(image), model.run(data)];
      data.fill(255);
      return [...(await Promise.all(runs)), await model.run(data)].map(digestOf);
    });
    expect(others.slice(0, 2)).toEqual([first, first]);
    expect(others[2]).not.toBe(first);
    await page.close();
  });

  test('what is wrong is told: addresses, files, images, options', async () => {
    const { page } = await open(false);
    const errors = await page.evaluate(async () => {
      const { digestOf, loadModel } = (globalThis as unknown as { ivit: Ivit }).ivit;
      const model = await loadModel('/scenes/scenes.ivit');
      const damaged = new Uint8Array(await (await fetch('/scenes/scenes.ivit')).arrayBuffer());
      const mistaken = URL.createObjectURL(new Blob([damaged.slice()], { type: 'text/html' }));
      damaged[damaged.length - 1] ^= 1;
      const attempts = [
        () => loadModel('/scenes/none.ivit'),
        () => loadModel(damaged),
        () => loadModel(new Blob(['no model'])),
        () => loadModel('/scenes/scenes.ivit', { threads: 0 }),
        () => loadModel('/scenes/scenes.ivit', { maxMemory: 1 }),
        () => loadModel('/scenes/scenes.ivit', { assets: '/none/' }),
        () => model.run(new Uint8Array(5)),
        () => model.run({ data: new Uint8Array(5), width: 1, height: 1 }),
        () => loadModel({} as unknown as string),
        () => loadModel('/scenes/scenes.ivit', { threads: 10_000 }),
        () => loadModel('/'),
        async () => (await loadModel(mistaken)).info.hash,
        () => model.run({ data: new Array(3).fill(0) as unknown as Uint8Array, width: 1, height: 1 }),
        () => model.run({ data: new Float32Array(3) as unknown as Uint8Array, width: 1, height: 1 }),
        () => model.run({ data: new Uint8Array(3), width: -1, height: -1 }),
        () => model.prepare(null as unknown as Parameters<typeof model.prepare>[0]),
        async () => model.predictions(new Int32Array(3)),
        async () => model.results(new Int32Array(12), 0),
        async () => digestOf(new Float32Array(12) as unknown as Int32Array),
      ];
      const told: string[] = [];
      for (const attempt of attempts)
        told.push(
          await (attempt() as Promise<unknown>).then(String, (error: Error) => `${error.name}: ${error.message}`),
        );
      // It runs on after all of that.
      const rgba = new Uint8ClampedArray(4 * 70 * 80).fill(255);
      told.push(String((await model.run({ data: rgba, width: 70, height: 80 })).length));
      return told;
    });
    const expected = [
      /^InputError: Cannot load .*none\.ivit: HTTP status 404$/,
      /^InputError: .*(damaged|hash)/,
      /^InputError: /,
      /^UsageError: threads is 0/,
      /^InputError: .*memory/,
      /^Error: The worker of ivit did not start/,
      /^UsageError: Pixels are 5 bytes, not 64×64×3/,
      /^UsageError: An image of 1×1 has 5 bytes/,
      /^UsageError: A model is an address, a Blob or bytes, not Object$/,
      /^UsageError: threads is 10000, not a whole number from 1 to \d+$/,
      /^InputError: .*HTML/,
      /^sha256:/,
      /^UsageError: An image is .* not Array$/,
      /^UsageError: An image is .* not Float32Array$/,
      /^UsageError: width is -1, not a whole number from 1 on$/,
      /^UsageError: An image is .* not Undefined$/,
      /^UsageError: The values are 3 numbers, and run gives 12$/,
      /^UsageError: top is 0/,
      /^UsageError: The values are the Int32Array that run gives, not of type Float32Array$/,
      /^12$/,
    ];
    expect(errors.length).toBe(expected.length);
    expected.forEach((pattern, i) => expect(errors[i]).toMatch(pattern));
    await page.close();
  });

  test('the model may come from another origin than the page, and so may the engine', async () => {
    const other = await serve({ ivit: DIST, scenes: SCENES }, { allowsAll: true });
    servers.push(other);
    const { page } = await open(false);
    const digest = await page.evaluate(
      async ({ url, image }) => {
        const { loadModel, digestOf } = (globalThis as unknown as { ivit: Ivit }).ivit;
        const model = await loadModel(`${url}scenes/scenes.ivit`, { assets: `${url}ivit/` });
        return digestOf(await model.run({ ...image, data: Uint8Array.from(image.data) }));
      },
      { url: other.url, image: given[0] },
    );
    expect(digest).toBe(given[0].digest);
    await page.close();
  });
});
