import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExifMode } from '../../src/images/decode.js';
import { decodeOriented } from '../../src/images/decode.js';
import { syntheticImage } from '../../src/images/synthetic/index.js';
import { REPOSITORY } from '../repository/sources.js';
import { hasChromium, launch, openPage, serve, type Served } from './browser.js';

const DIST = path.join(REPOSITORY, 'dist/web');
const FIXTURES = path.join(REPOSITORY, 'fixtures/decode');
/** Formats that browsers' codecs here know; CMYK is refused. */
const KNOWN = /\.(jpe?g|png|webp|bmp|p[pgb]m)$/;
const PAGE =
  '<!doctype html><meta charset="utf-8"><title>ivit</title><link rel="icon" href="data:,">' +
  '<script type="module">import * as decode from "/ivit/decode.js"; globalThis.decode = decode</script>';

type Decode = typeof import('../../src/web/decode.js');
interface Pixels {
  readonly hash: string;
  readonly width: number;
  readonly height: number;
  readonly isTurned: boolean;
}

describe.skipIf(!hasChromium)('ivit/web/decode gives the pixels of ivit', () => {
  let folder: string;
  let browser: Browser;
  let server: Served;
  let page: Page;
  let asked: string[];

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'ivit-decode-'));
    await makeImages(folder);
    browser = await launch();
    server = await serve({ '': PAGE, ivit: DIST, fixtures: FIXTURES, made: folder });
    ({ page, asked } = await openPage(browser, server.url));
    await page.waitForFunction(() => 'decode' in globalThis);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const inPage = (url: string, exif: ExifMode): Promise<Pixels | string> =>
    page.evaluate(
      async ({ url, exif }) => {
        const { decodeImage } = (globalThis as unknown as { decode: Decode }).decode;
        try {
          const file = await (await fetch(url)).blob();
          const { data, width, height, channels = 3, isTurned } = await decodeImage(file, { exif });
          const rgb = new Uint8Array(width * height * 3);
          for (let i = 0; i < rgb.length; i++) rgb[i] = data[Math.trunc(i / 3) * channels + (i % 3)];
          const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', rgb));
          return { hash: Array.from(hash, (b) => b.toString(16).padStart(2, '0')).join(''), width, height, isTurned };
        } catch (error) {
          return `${(error as Error).name}: ${(error as Error).message}`;
        }
      },
      { url, exif },
    );

  const inNode = async (file: string, exif: ExifMode): Promise<Pixels> => {
    const { image, isTurned } = await decodeOriented(file, exif);
    const hash = createHash('sha256').update(image.data).digest('hex');
    return { hash, width: image.width, height: image.height, isTurned: isTurned && exif === 'apply' };
  };

  async function expectSame(at: string, names: readonly string[], root: string): Promise<void> {
    for (const name of names)
      for (const exif of ['ignore', 'apply'] as const)
        expect({ name, ...Object(await inPage(`/${at}/${name}`, exif)) }).toEqual({
          name,
          ...(await inNode(path.join(root, name), exif)),
        });
  }

  test('of every fixture', async () => {
    const names = readdirSync(FIXTURES).filter((name) => KNOWN.test(name) && name !== 'cmyk.jpg');
    expect(names.length).toBeGreaterThan(30);
    await expectSame('fixtures', names, FIXTURES);
  });

  test('of every subsampling, interlacing, depth and orientation', async () => {
    const names = readdirSync(folder).filter((name) => !name.startsWith('bad-'));
    expect(names.length).toBeGreaterThan(35);
    await expectSame('made', names, folder);
  });

  test('a codec is loaded once, when its first image comes', async () => {
    const { page: fresh, asked: urls } = await openPage(browser, server.url);
    await fresh.waitForFunction(() => 'decode' in globalThis);
    const codecs = (): string[] => urls.filter((url) => /codec-|\.wasm$/.test(url)).map((url) => path.basename(url));
    expect(codecs()).toEqual([]);
    await fresh.evaluate(async () => {
      const { decodeImage } = (globalThis as unknown as { decode: Decode }).decode;
      const file = await (await fetch('/fixtures/grey.jpg')).arrayBuffer();
      await Promise.all([decodeImage(file), decodeImage(new Uint8Array(file))]);
    });
    expect(codecs().sort()).toEqual(['codec-jpeg.js', 'mozjpeg_dec.wasm']);
    await fresh.close();
  });

  test('what it cannot decode is refused, and it works on afterwards', async () => {
    expect(await inPage('/fixtures/cmyk.jpg', 'apply')).toMatch(/^InputError: Cannot decode the image: .*CMYK/);
    for (const name of readdirSync(folder).filter((one) => one.startsWith('bad-')))
      expect(await inPage(`/made/${name}`, 'apply'), name).toMatch(/^InputError: Cannot decode the image: /);
    expect(await inPage('/fixtures/palette.gif', 'apply')).toMatch(/^InputError: .*not a JPEG, PNG/);
    await expectSame('fixtures', ['subsampled.jpg', 'lossy.webp', 'rgb.png'], FIXTURES);
    expect(asked.filter((url) => !url.startsWith(server.url))).toEqual([]);
  });
});

/** Photograph-like images in many forms, and files that are no images. */
async function makeImages(folder: string): Promise<void> {
  const at = (name: string): string => path.join(folder, name);
  const { data, width, height } = syntheticImage(61, 43, 1);
  const image = () => sharp(data, { raw: { width, height, channels: 3 } });
  const alpha = Uint8Array.from({ length: width * height }, (_, i) => (i * 7) % 256);
  const withAlpha = () => image().joinChannel(Buffer.from(alpha), { raw: { width, height, channels: 1 } });
  for (const chromaSubsampling of ['4:4:4', '4:2:0'])
    for (const quality of [30, 75, 95]) {
      const name = `${chromaSubsampling.replaceAll(':', '')}-${quality}`;
      await image()
        .jpeg({ chromaSubsampling, quality })
        .toFile(at(`${name}.jpg`));
      await image()
        .jpeg({ chromaSubsampling, quality, progressive: true })
        .toFile(at(`${name}-progressive.jpg`));
    }
  await image().png({ progressive: true }).toFile(at('interlaced.png'));
  await image().png({ palette: true, colours: 9 }).toFile(at('palette.png'));
  await withAlpha().png().toFile(at('alpha.png'));
  await image().toColourspace('rgb16').png().toFile(at('rgb16.png'));
  for (const quality of [20, 90])
    await image()
      .webp({ quality })
      .toFile(at(`${quality}.webp`));
  await image().webp({ lossless: true }).toFile(at('lossless.webp'));
  await withAlpha().webp({ quality: 60 }).toFile(at('alpha.webp'));
  for (let orientation = 1; orientation <= 8; orientation++)
    for (const format of ['jpeg', 'png', 'webp'] as const)
      await image()
        .withMetadata({ orientation })
        .toFormat(format)
        .toFile(at(`turned-${orientation}.${format}`));
  for (const name of ['444-75.jpg', '444-75-progressive.jpg', 'alpha.png', '90.webp']) {
    const whole = readFileSync(at(name));
    writeFileSync(at(`bad-half-${name}`), whole.subarray(0, whole.length / 2));
    writeFileSync(at(`bad-start-${name}`), whole.subarray(0, 20));
  }
  writeFileSync(at('bad-empty.jpg'), '');
  writeFileSync(at('bad-text.jpg'), 'no image');
}
