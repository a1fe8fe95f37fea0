import { readFile, stat } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ReportData } from '../../src/report/index.js';
import { SCENES, SCENES_MODEL } from '../scenes.js';
import { hasChromium, launch } from '../web/browser.js';
import { ivit, savePhoto, saveTinyOnnx, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();
const readJson = async (name: string): Promise<ReportData> => JSON.parse(await readFile(folder.path(name), 'utf8'));

beforeAll(async () => {
  await saveTinyOnnx(folder.path('model.onnx'));
  for (let i = 0; i < 20; i++) await savePhoto(folder.path('photos', `${i}.png`), i);
});

describe('report', () => {
  const scenes = ['report', SCENES_MODEL, '--float', path.join(SCENES, 'scenes_vit.onnx')];
  const images = ['--images', path.join(SCENES, 'test'), '--limit', '40'];

  test('compares with the float model on images, and says what to do', async () => {
    const { code, stdout, stderr } = await ivit([...scenes, ...images, '-o', 'scenes.json'], { cwd: folder.path() });
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Wrote scenes\.json\n\n {2}images +40\n {2}agreement +.* %, 95 % interval .* to .*\n/);
    const { analysis, layers, advice, command } = await readJson('scenes.json');
    const { fidelity } = analysis;
    expect(fidelity.images).toBe(40);
    expect(fidelity.top1Agreement).toBe(1 - analysis.disagreements / 40);
    expect(fidelity.interval![0]).toBeLessThan(fidelity.top1Agreement!);
    expect(fidelity.kl!.p50).toBeLessThanOrEqual(fidelity.kl!.p90);
    expect(layers.map(({ name }) => name)).toEqual(analysis.layers.map(({ name }) => name));
    for (const { softmax, activations } of [analysis])
      for (const { sqnrDb } of [...softmax, ...activations]) expect(sqnrDb).toBeGreaterThan(20);
    expect(advice.length).toBeGreaterThan(0);
    expect(command).toContain('--limit 40');
  });

  test('refuses to write over a model, and a float model of another kind', async () => {
    const { code, stderr } = await ivit([...scenes, ...images, '-o', SCENES_MODEL], { cwd: folder.path() });
    expect(stderr).toMatch(/^error: The output of -o, .* is the input /);
    expect(code).toBe(3);
    const other = await ivit(['report', SCENES_MODEL, '--float', 'model.onnx', ...images, '-o', 'no.html'], {
      cwd: folder.path(),
    });
    expect(other.code).toBe(3);
    expect(await folder.files()).not.toContain('no.html');
  });
});

describe('quantize --report page.html', () => {
  beforeAll(async () => {
    for (const name of ['page.html', 'page.json']) {
      const { code, stderr } = await ivit(
        ['quantize', 'model.onnx', '-o', 'tiny.ivit', '--images', 'photos', '--report', name, '--threads', '1'],
        { cwd: folder.path() },
      );
      expect(code, stderr).toBe(0);
    }
  });

  test('holds the same figures as the JSON report', async () => {
    const page = await readFile(folder.path('page.html'), 'utf8');
    const held = JSON.parse(/<script type="application\/json" id="figures">(.*?)<\/script>/s.exec(page)![1]);
    const json = await readJson('page.json');
    // Times are what they are, and the commands name their own files.
    const comparable = ({ analysis: { speed: _, ...analysis }, ...data }: ReportData) => ({
      ...data,
      analysis,
      seconds: 0,
      command: data.command.replace('page.json', 'page.html'),
    });
    expect(comparable(held)).toEqual(comparable(json));
    expect(json.analysis.fidelity.sqnrDb).toBe((json as unknown as { agreement: { sqnrDb: number } }).agreement.sqnrDb);
    expect(json.command).toMatch(/^ivit quantize model\.onnx -o tiny\.ivit --images photos --report page\.json/);
    expect((await stat(folder.path('page.html'))).size).toBeLessThan(5e6);
  });

  describe.skipIf(!hasChromium)('in Chromium', () => {
    let browser: Browser;
    let page: Page;
    const told: string[] = [];
    const asked: string[] = [];

    beforeAll(async () => {
      browser = await launch();
      page = await browser.newPage();
      page.on('console', (message) => told.push(message.text()));
      page.on('pageerror', (error) => told.push(error.message));
      page.on('request', (request) => asked.push(request.url()));
      await page.goto(pathToFileURL(folder.path('page.html')).href);
    });
    afterAll(() => browser.close());

    test('says nothing on the console, and asks for nothing but itself', () => {
      expect(told).toEqual([]);
      expect(asked.filter((url) => !url.startsWith('data:'))).toHaveLength(1);
    });

    test('shows the figures of the JSON report', async () => {
      const { analysis, layers } = await readJson('page.json');
      const { fidelity } = analysis;
      const textOf = (selector: string): Promise<string> => page.locator(selector).innerText();
      expect(await textOf('#agreement')).toBe(`${(100 * fidelity.top1Agreement!).toFixed(1)} %`);
      expect(await textOf('#sqnr-db')).toBe(`${fidelity.sqnrDb.toFixed(1)} dB`);
      const shown = await page.evaluate<string[][]>(
        "[...document.querySelectorAll('#layer-table tbody tr')].map((row) => " +
          '[...row.cells].map((cell) => cell.dataset.value ?? cell.innerText))',
      );
      expect(shown).toEqual(
        layers.map((layer, i) => [
          String(i + 1),
          layer.name,
          String(layer.rows * layer.inFeatures * layer.outFeatures),
          ...[layer.inputBits, layer.weightBits, layer.sqnrDb, layer.input.sensitivity, layer.weightSensitivity].map(
            (value) => String(value ?? ''),
          ),
          ...[layer.clipped, layer.input.range?.max, layer.input.scale?.max].map((value) => String(value ?? '')),
        ]),
      );
    });

    test('sorts and filters its table by keyboard', async () => {
      const { layers } = await readJson('page.json');
      const names = (): Promise<string[]> => page.locator('#layer-table tbody tr:visible th').allInnerTexts();
      await page.getByRole('button', { name: 'SQNR, dB' }).focus();
      await page.keyboard.press('Enter');
      const sorted = [...layers].sort((a, b) => a.sqnrDb - b.sqnrDb).map(({ name }) => name);
      expect(await names()).toEqual(sorted);
      await page.keyboard.press('Enter');
      expect(await names()).toEqual([...sorted].reverse());
      await page.getByRole('searchbox').fill('fc');
      expect((await names()).every((name) => name.includes('fc'))).toBe(true);
      expect(await page.getByRole('status').innerText()).toBe(`2 of ${layers.length} layers`);
    });

    test('fits a phone, and has a name for every picture and region', async () => {
      await page.setViewportSize({ width: 360, height: 700 });
      expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
      for (const unnamed of ['svg:not([aria-label])', '.scroll:not([aria-label])', 'thead th:not([scope])'])
        expect(await page.locator(unnamed).count(), unnamed).toBe(0);
      await page.setViewportSize({ width: 1000, height: 700 });
    });

    test('by keyboard: everything in the order of the page, and what has the focus is seen', async () => {
      await page.reload();
      const wanted = await page.locator('a[href]:not([tabindex]), button, input, summary, [tabindex="0"]').all();
      const seen: boolean[] = [];
      for (const one of wanted) {
        await page.keyboard.press('Tab');
        seen.push((await one.evaluate(HAS_SEEN_FOCUS)) as boolean);
      }
      expect(seen.length).toBeGreaterThan(20);
      expect(seen.indexOf(false)).toBe(-1);
    });

    test.each(['light', 'dark'] as const)('can be read: contrast, %s', async (colorScheme) => {
      await page.emulateMedia({ colorScheme });
      const { texts, shapes } = await page.evaluate<{ texts: Seen[]; shapes: Seen[] }>(CONTRASTS);
      expect(texts.length).toBeGreaterThan(50);
      expect(texts.filter(({ ratio }) => ratio < 4.5)).toEqual([]);
      expect(shapes.length).toBeGreaterThan(10);
      expect(shapes.filter(({ ratio }) => ratio < 3)).toEqual([]);
    });

    test('printed: black on white, with the histograms, without what needs a hand', async () => {
      await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
      const isSeen = (selector: string): Promise<boolean> => page.locator(selector).first().isVisible();
      expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe('rgb(255, 255, 255)');
      expect([await isSeen('#filter'), await isSeen('details figure'), await isSeen('#repeat')]).toEqual([
        false,
        true,
        true,
      ]);
      await page.emulateMedia({ media: 'screen', colorScheme: 'light' });
      expect(await isSeen('details figure')).toBe(false);
    });
  });
});

interface Seen {
  readonly what: string;
  readonly ratio: number;
}

/** Whether an element has the focus, or one inside it as the picture of a link, with an outline. */
const HAS_SEEN_FOCUS = '(one) => document.activeElement === one && parseFloat(getComputedStyle(one).outlineWidth) >= 2';

/** WCAG 2's contrast of texts and of the shapes of plots against what is behind them. */
const CONTRASTS = `(() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => channels(color).slice(0, 3).map((value) => value / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const behind = (element) => {
    for (let one = element; one !== null; one = one.parentElement) {
      const { backgroundColor } = getComputedStyle(one);
      if (channels(backgroundColor)[3] !== 0) return backgroundColor;
    }
    return 'rgb(255, 255, 255)';
  };
  const texts = [...document.querySelectorAll('body *')]
    .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== ''))
    .filter((one) => one.checkVisibility() && !one.closest('script'))
    .map((one) => [one, one instanceof SVGElement ? getComputedStyle(one).fill : getComputedStyle(one).color])
    .map(([one, color]) => ({ what: one.textContent.slice(0, 30), ratio: ratio(color, behind(one)) }));
  const shapes = [...document.querySelectorAll('rect, path:not(.data)')].map((one) => {
    const { fill, stroke } = getComputedStyle(one);
    const drawn = [fill, stroke].filter((color) => color !== 'none');
    return { what: one.getAttribute('class'), ratio: Math.max(...drawn.map((color) => ratio(color, behind(one)))) };
  });
  return { texts, shapes };
})()`;
