import { cpSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { explain } from '../../src/api/explain.js';
import { Model } from '../../src/api/model.js';
import { serve, type Serving } from '../../src/api/serve.js';
import { overlaid } from '../../src/explain/overlay.js';
import { decodeImage } from '../../src/images/decode.js';
import { saveModel } from '../../src/program/file.js';
import { ivit, REPOSITORY } from '../cli/ivit.js';
import { tinyModel } from '../program/tiny.js';
import { GOLDEN_DIGESTS, SCENES, SCENES_MODEL } from '../scenes.js';
import { hasChromium, launch, serve as serveFolder } from './browser.js';

const IMAGES = Object.keys(GOLDEN_DIGESTS).map((name) => path.join(SCENES, 'test', name));

describe.skipIf(!hasChromium)('the page', () => {
  let browser: Browser;
  let folder: string;
  let serving: Serving;
  const closing: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'ivit-page-'));
    browser = await launch();
    serving = await serve({ model: SCENES_MODEL, port: 0, backend: 'wasm', threads: 1 });
  });
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });
  afterAll(async () => {
    await browser?.close();
    await serving?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  interface Opened {
    readonly page: Page;
    /** Addresses outside of the server, which were asked for and not given. */
    readonly outside: string[];
    /** Requests that sent something. */
    readonly sent: string[];
    readonly complaints: string[];
  }

  /** A page that cannot reach anything but the server. */
  async function open(url: string, options: BrowserContextOptions = {}): Promise<Opened> {
    const context = await browser.newContext(options);
    closing.push(() => context.close());
    const page = await context.newPage();
    const opened: Opened = { page, outside: [], sent: [], complaints: [] };
    await context.route(
      (address) => address.origin !== new URL(url).origin && !/^(blob|data):/.test(address.href),
      (route) => {
        opened.outside.push(route.request().url());
        return route.abort();
      },
    );
    page.on('request', (request) => {
      if (!['GET', 'HEAD'].includes(request.method()) || request.postData() !== null) opened.sent.push(request.url());
    });
    page.on('console', (message) => opened.complaints.push(message.text()));
    page.on('pageerror', (error) => opened.complaints.push(error.message));
    await page.goto(url);
    return opened;
  }

  const isReady = (page: Page) => page.getByText(/is ready/).waitFor({ timeout: 60_000 });
  const digests = async (page: Page): Promise<string[]> => page.locator('.card .digest').allTextContents();

  test('a served model: classes, digests, layers, speed; nothing leaves the page', async () => {
    const { page, outside, sent, complaints } = await open(serving.url);
    await isReady(page);
    expect(await page.locator('#status').textContent()).toMatch(/WebAssembly \((relaxed-dot|simd128)\), \d+ thread/);
    await page.setInputFiles('#image-files', IMAGES);
    await page.getByText('3 images are done').waitFor({ timeout: 60_000 });
    expect(await digests(page)).toEqual(Object.values(GOLDEN_DIGESTS));
    const first = page.locator('.card').first().locator('.classes li');
    const told = JSON.parse((await ivit(['infer', IMAGES[0], '-m', SCENES_MODEL, '--json'])).stdout) as [
      { predictions: { label: string; index: number; probability: number }[] },
    ];
    expect(await first.allInnerTexts()).toEqual(
      told[0].predictions.map((one) => expect.stringMatching(`^${one.label} \\(${one.index}\\)\\s+[\\d.]+ %$`)),
    );
    const inspected = await ivit(['inspect', SCENES_MODEL]);
    await page.locator('#about summary').click();
    const content = /[0-9a-f]{64}/.exec(inspected.stdout)![0];
    expect(await page.locator('#summary').innerText()).toContain(content);
    await page.locator('#layers summary').click();
    const rows = await page.locator('#layers tbody tr').allInnerTexts();
    const csv = (await ivit(['inspect', SCENES_MODEL, '--format', 'csv'])).stdout.trim().split('\n').slice(1);
    /** What both tell of a layer: name, op, shape, type and bits of weights. */
    const described = (line: string, between: RegExp): string => line.split(between).slice(0, 5).join(' ').trim();
    expect(rows.length).toBeGreaterThan(100);
    expect(rows.map((row) => described(row.replaceAll('×', 'x'), /\t/))).toEqual(
      csv.map((line) => described(line, /,/)),
    );
    await page.getByRole('button', { name: 'Measure' }).click();
    await page.locator('#benchmark-result dl').waitFor({ timeout: 60_000 });
    expect(await page.locator('#benchmark-result').innerText()).toMatch(/one image\s+[\d.]+ ms \(median of \d+\)/);
    expect([outside, sent, complaints]).toEqual([[], [], []]);
  });

  test('its own policy keeps it from other addresses', async () => {
    const { page, outside } = await open(serving.url);
    await isReady(page);
    const refused = await page.evaluate(`(async () => {
      const image = new Image();
      image.src = 'https://example.invalid/pixel.png';
      const seen = await image.decode().then(() => true, () => false);
      const sent = await fetch('https://example.invalid/', { method: 'POST', body: 'x' }).then(() => true, () => false);
      return { seen, sent };
    })()`);
    expect(refused).toEqual({ seen: false, sent: false });
    expect(outside).toEqual([]); // not even asked for
  });

  test('on any static host, without isolation: files are opened by keyboard', async () => {
    const site = path.join(folder, 'site');
    cpSync(path.join(REPOSITORY, 'dist/web'), site, { recursive: true });
    const host = await serveFolder({ site });
    closing.push(() => host.close());
    const { page, outside } = await open(`${host.url}site/index.html`, { viewport: { width: 360, height: 640 } });
    await page.getByText(/^Open a .ivit model/).waitFor();
    // On a busy machine Chromium may drop a key that comes while the page is made anew.
    const chosen = async (file: string, tries = 3): Promise<void> => {
      const chooser = page.waitForEvent('filechooser', { timeout: 10_000 });
      await page.keyboard.press('Space');
      const opened = await chooser.catch((error: Error) => (tries > 1 ? null : Promise.reject(error)));
      await (opened === null ? chosen(file, tries - 1) : opened.setFiles(file));
    };
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.id')).toBe('model-file');
    await chosen(SCENES_MODEL);
    await isReady(page);
    expect(await page.locator('#status').textContent()).toMatch(/1 thread: the page is not cross-origin isolated/);
    const focused = (): Promise<unknown> => page.evaluate('document.activeElement.id');
    for (let i = 0; i < 3 && (await focused()) !== 'image-files'; i++) await page.keyboard.press('Tab');
    expect(await focused()).toBe('image-files');
    await chosen(IMAGES[0]);
    await page.getByText('The image is done').waitFor({ timeout: 60_000 });
    expect(await digests(page)).toEqual([GOLDEN_DIGESTS['car/00.jpg']]);
    const wide = await page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth');
    expect(wide, 'wider than the phone').toBe(false);
    expect(outside).toEqual([]);
  });

  test('what cannot be read is said; images wait for a model; a new model runs them again', async () => {
    const { page } = await open(serving.url);
    await isReady(page);
    const bad = path.join(folder, 'bad.jpg');
    copyFileSync(path.join(REPOSITORY, 'package.json'), bad);
    await page.setInputFiles('#image-files', [bad, path.join(REPOSITORY, 'fixtures/decode/palette.gif'), IMAGES[0]]);
    await page.getByText('3 images are done').waitFor({ timeout: 60_000 });
    expect(await page.locator('.card .error').allTextContents()).toEqual([expect.stringMatching(/^Cannot decode/)]);
    expect(await page.locator('.card .warning').allTextContents()).toEqual([
      expect.stringMatching(/digest.* may differ/),
    ]);
    await page.setInputFiles('#model-file', { name: 'x.ivit', mimeType: '', buffer: readFileSync(bad) });
    await page.locator('#status.error').waitFor();
    // The model that was there goes on.
    await page.setInputFiles('#image-files', IMAGES[1]);
    await page.getByText('The image is done').waitFor({ timeout: 60_000 });
    expect((await digests(page))[0]).toBe(GOLDEN_DIGESTS['key/00.jpg']);
    await page.setInputFiles('#model-file', SCENES_MODEL);
    await page.getByText('4 images are done').waitFor({ timeout: 60_000 });
  });

  test('where the model looked, as infer --explain draws it', async () => {
    const model = await Model.load(SCENES_MODEL);
    const pixels = await model.prepare(await decodeImage(IMAGES[0]));
    const [maps] = await explain(model, [{ title: '', pixels }]);
    await model.close();
    const { page, complaints } = await open(serving.url);
    await isReady(page);
    await page.setInputFiles('#image-files', IMAGES[0]);
    await page.getByText('The image is done').waitFor({ timeout: 60_000 });
    expect(await page.locator('.maps canvas').count()).toBe(0); // worked out when somebody wants it
    await page.getByText('Where it looked').focus();
    await page.keyboard.press('Enter');
    await page.locator('.maps canvas').first().waitFor({ timeout: 60_000 });
    expect(await page.locator('.maps figcaption').allTextContents()).toEqual(maps.map(({ title }) => title));
    const drawn = await page.evaluate<number[][]>(`[...document.querySelectorAll('.maps canvas')].map((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return [...data].filter((_, i) => i % 4 !== 3);
    })`);
    expect(drawn).toEqual(maps.map((map) => [...overlaid(pixels, map, { height: 64, width: 64 })]));
    expect(new Set(drawn.map(String)).size).toBe(maps.length);
    expect(complaints).toEqual([]);
  });

  test('a model that is no classifier: a summary of each output, as infer gives it', async () => {
    const model = path.join(folder, 'vectors.ivit');
    const outputs = [{ name: 'vector', shape: [3], start: 0, tail: [], isClasses: false }];
    await saveModel(model, { ...tinyModel(), labels: null, outputs });
    const { page } = await open(serving.url);
    await isReady(page);
    await page.setInputFiles('#model-file', model);
    await page.getByText(/^vectors.ivit is ready/).waitFor({ timeout: 60_000 });
    await page.setInputFiles('#image-files', IMAGES[0]);
    await page.getByText('The image is done').waitFor({ timeout: 60_000 });
    const told = await ivit(['infer', IMAGES[0], '-m', model]);
    const [numbers] = /vector 3: .*/.exec(told.stdout)!;
    expect(await page.locator('.card [role=region] p').textContent()).toBe(numbers.replace('vector 3', 'vector'));
    expect(await page.locator('.card tbody tr').count()).toBe(1);
    expect(await page.locator('.card .classes').count()).toBe(0);
    const digest = (await ivit(['infer', IMAGES[0], '-m', model, '--digest'])).stdout.slice(0, 64);
    expect(await digests(page)).toEqual([digest]);
  });

  test('roles and names: every control has a name, contrast schemes follow the system', async () => {
    const { page } = await open(serving.url, { colorScheme: 'dark' });
    await isReady(page);
    await page.setInputFiles('#image-files', IMAGES[0]);
    await page.getByText('The image is done').waitFor({ timeout: 60_000 });
    const names = await page.evaluate<string[]>(`
      [...document.querySelectorAll('button, input, summary, progress, [role=region]')].map((node) =>
        (node.getAttribute('aria-label') ?? node.labels?.[0]?.textContent ?? node.textContent ?? '').trim())`);
    expect(names.length).toBeGreaterThan(6);
    expect(names.filter((name) => name === '')).toEqual([]);
    expect(await page.getByRole('list', { name: 'Likeliest classes' }).count()).toBe(1);
    expect(await page.evaluate('getComputedStyle(document.documentElement).backgroundColor')).toBe('rgb(22, 23, 21)');
  });
});
