import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { REPOSITORY } from '../repository/sources.js';
import { SCENES } from '../scenes.js';
import { serve, type Served } from './browser.js';
import { Firefox, hasFirefox } from './firefox.js';
import { twentyImages, type TestImage } from './twenty-images.js';

const PAGE = '<!doctype html><meta charset="utf-8"><title>ivit</title><link rel="icon" href="data:,">';

/** Loads the model, then decodes and runs each file; all of it in the page. */
const RUN = `
  const [files, threads] = args;
  const { loadModel, digestOf } = await import('/ivit/index.js');
  const { decodeImage } = await import('/ivit/decode.js');
  const model = await loadModel('/scenes/scenes.ivit', { threads });
  const images = [];
  for (const file of files) images.push(await decodeImage(await (await fetch(file)).blob()));
  const values = await model.runAll(images);
  const { isa } = model.info;
  const used = model.threads;
  model.close();
  return { digests: values.map(digestOf), isa, threads: used };`;

interface Ran {
  readonly digests: string[];
  readonly isa: string;
  readonly threads: number;
}

// IVIT_FIREFOX names one that lies elsewhere.
describe.skipIf(!hasFirefox)('in Firefox, where there is one', () => {
  let firefox: Firefox;
  let given: TestImage[];
  const servers: Served[] = [];

  beforeAll(async () => {
    given = await twentyImages();
    firefox = await Firefox.launch();
  });
  afterAll(async () => {
    await firefox?.close();
    for (const server of servers) await server.close();
  });

  test.each([
    [false, 1],
    [true, 2],
  ])('twenty digests agree with the native backend, isolated: %s', async (isIsolated, threads) => {
    const server = await serve({ '': PAGE, ivit: path.join(REPOSITORY, 'dist/web'), scenes: SCENES }, { isIsolated });
    servers.push(server);
    await firefox.open(server.url);
    const files = given.map(({ file }) => file.replace('fixtures/', '/'));
    const ran = await firefox.evaluate<Ran>(RUN, files, 2);
    expect(ran.digests).toEqual(given.map(({ digest }) => digest));
    expect(ran.threads).toBe(threads);
    expect(['relaxed-dot', 'simd128']).toContain(ran.isa);
  });

  test('the page of ivit serve classifies a chosen image', async () => {
    const server = await serve({ site: path.join(REPOSITORY, 'dist/web'), scenes: SCENES }, { isIsolated: true });
    servers.push(server);
    await firefox.open(`${server.url}site/index.html`);
    const shown = await firefox.evaluate<string[]>(
      `
      const until = async (find) => {
        for (let i = 0; i < 600; i++) {
          const found = find();
          if (found) return found;
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        throw new Error('waited in vain: ' + document.body.innerText);
      };
      const choose = async (id, address, name) => {
        const input = document.getElementById(id);
        const files = new DataTransfer();
        files.items.add(new File([await (await fetch(address)).blob()], name));
        input.files = files.files;
        input.dispatchEvent(new Event('change', { bubbles: true }));
      };
      await until(() => /^Open/.test(document.getElementById('status').textContent));
      await choose('model-file', '/scenes/scenes.ivit', 'scenes.ivit');
      await until(() => /is ready/.test(document.getElementById('status').textContent));
      await choose('image-files', args[0], 'image.jpg');
      const digest = await until(() => document.querySelector('.card .digest'));
      return [digest.textContent, document.querySelector('.classes li').innerText];`,
      given[0].file.replace('fixtures/', '/'),
    );
    expect(shown).toEqual([given[0].digest, expect.stringMatching(/^car \(1\)\s+95\.\d %$/)]);
  });
});
