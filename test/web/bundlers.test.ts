import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as esbuild from 'esbuild';
import type { Browser } from 'playwright-core';
import * as vite from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeImage } from '../../src/images/decode.js';
import { applyRecipe } from '../../src/images/preprocess/recipe.js';
import { loadModel } from '../../src/program/file.js';
import { GOLDEN_DIGESTS, SCENES, SCENES_MODEL } from '../scenes.js';
import { hasChromium, launch, openPage, serve } from './browser.js';

const REPOSITORY = path.resolve(import.meta.dirname, '../..');
const WEB = path.join(REPOSITORY, 'dist/web');
const ASSETS = ['worker.js', 'ivit.wasm', 'ivit-relaxed.wasm'];

let folder: string;
let browser: Browser | undefined;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'ivit-bundlers-'));
  if (hasChromium) browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A copy of an example beside an installed ivit. */
function copyExample(name: string): string {
  const copy = mkdtempSync(path.join(folder, `${name}-`));
  cpSync(path.join(REPOSITORY, 'examples', name), copy, { recursive: true });
  mkdirSync(path.join(copy, 'node_modules'));
  symlinkSync(REPOSITORY, path.join(copy, 'node_modules/ivit'));
  return copy;
}

/** Opens a site, gives it the pixels of an image, and reads what it shows. */
async function showsDigest(site: string): Promise<void> {
  cpSync(SCENES_MODEL, path.join(site, 'model.ivit'));
  const [name, digest] = Object.entries(GOLDEN_DIGESTS)[0];
  const { preprocess } = await loadModel(SCENES_MODEL);
  const pixels = applyRecipe(await decodeImage(path.join(SCENES, 'test', name)), preprocess);
  const file = path.join(folder, 'pixels.bin');
  writeFileSync(file, pixels);
  const server = await serve({ site });
  const { page, asked } = await openPage(browser!, `${server.url}site/index.html`);
  const output = page.locator('output');
  await expect.poll(() => output.textContent(), { timeout: 60_000 }).toMatch(/^sha256:/);
  await page.setInputFiles('input', file);
  await expect.poll(() => output.textContent(), { timeout: 60_000 }).toContain(`digest ${digest}`);
  expect(await output.textContent()).toMatch(/^car, /);
  expect(asked.filter((url) => !url.startsWith(server.url) && !/^(blob|data):/.test(url))).toEqual([]);
  await page.close();
  await server.close();
}

test.skipIf(!hasChromium)('a plain page', async () => {
  const site = copyExample('page');
  cpSync(WEB, path.join(site, 'ivit'), { recursive: true });
  await showsDigest(site);
});

test('a Vite app', async () => {
  const root = copyExample('vite');
  await vite.build({ root, logLevel: 'silent' });
  const built = readdirSync(path.join(root, 'dist/assets'));
  for (const pattern of [/^worker-.*\.js$/, /^ivit-[^r].*\.wasm$/, /^ivit-relaxed-.*\.wasm$/])
    expect(built.filter((name) => pattern.test(name)).length, String(pattern)).toBe(1);
  if (hasChromium) await showsDigest(path.join(root, 'dist'));
});

/** esbuild leaves addresses of files as they are: the files are copied beside the bundle. */
test('an app bundled by esbuild', async () => {
  const root = copyExample('vite');
  const site = path.join(root, 'site');
  mkdirSync(site);
  await esbuild.build({
    entryPoints: [path.join(root, 'main.js')],
    outfile: path.join(site, 'main.js'),
    bundle: true,
    format: 'esm',
    logLevel: 'silent',
  });
  for (const name of ASSETS) cpSync(path.join(WEB, name), path.join(site, name));
  cpSync(path.join(root, 'index.html'), path.join(site, 'index.html'));
  if (hasChromium) await showsDigest(site);
});
