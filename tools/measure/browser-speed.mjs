/**
 * `ivit/web` beside onnxruntime-web in one page of headless Chromium, one thread each: they run in turn, so other load
 * falls on all alike. The int8 forms are those of `ivit bench --float`.
 *
 *   node tools/measure/browser-speed.mjs MODEL.ivit FLOAT.onnx [rounds]
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { onnxForms } from '../../dist/bench/contenders.js';
import { loadModel } from '../../dist/program/file.js';
import { root } from '../prepare.mjs';

const [modelFile, floatFile, rounds = '50'] = process.argv.slice(2);
const { program } = await loadModel(modelFile);
const { forms, inputs } = await onnxForms(floatFile, program.input, (text) => process.stderr.write(`note: ${text}\n`));
const [[inputName, { data, shape }]] = Object.entries(inputs);

const served = new Map([['/model.ivit', readFileSync(modelFile)]]);
for (const [i, { model }] of forms.entries())
  served.set(`/${i}.onnx`, typeof model === 'string' ? readFileSync(model) : Buffer.from(model));
served.set('/input.bin', Buffer.from(data.buffer, data.byteOffset, data.byteLength));
const FOLDERS = { ivit: 'dist/web', ort: 'node_modules/onnxruntime-web/dist' };
const TYPES = { '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };

const server = createServer((request, response) => {
  const [, folder, name] = request.url.split('/');
  const isFile = folder in FOLDERS && name !== undefined;
  const bytes = isFile ? readFileSync(path.join(root, FOLDERS[folder], path.basename(name))) : served.get(request.url);
  response.writeHead(200, { 'content-type': TYPES[path.extname(request.url)] ?? 'text/html' }).end(bytes ?? '');
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const browser = await chromium.launch({
  executablePath: process.env.IVIT_CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});
try {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  page.setDefaultTimeout(0);
  const results = await page.evaluate(measure, { count: forms.length, rounds: Number(rounds), inputName, shape });
  print(results, browser.version());
} finally {
  await browser.close();
  server.close();
}

/** In the page. */
async function measure({ count, rounds, inputName, shape }) {
  const [{ loadModel }, ort] = await Promise.all(
    ['/ivit/index.js', '/ort/ort.wasm.min.mjs'].map((address) => import(address)),
  );
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = '/ort/';
  const model = await loadModel('/model.ivit', { threads: 1 });
  const { height, width, channels } = model.info.input;
  const pixels = Uint8Array.from({ length: height * width * channels }, (_, i) => (i * 31) & 255);
  const feeds = {
    [inputName]: new ort.Tensor('float32', new Float32Array(await (await fetch('/input.bin')).arrayBuffer()), shape),
  };
  const runs = [() => model.run(pixels)];
  for (let i = 0; i < count; i++) {
    const session = await ort.InferenceSession.create(`/${i}.onnx`);
    runs.push(() => session.run(feeds));
  }
  const times = runs.map(() => []);
  for (let round = -3; round < rounds; round++)
    for (const [i, run] of runs.entries()) {
      const start = performance.now();
      await run();
      if (round >= 0) times[i].push(performance.now() - start);
    }
  return { isa: model.info.isa, times };
}

function print({ isa, times }, version) {
  const quantile = (list, share) => list.toSorted((a, b) => a - b)[Math.floor(share * (list.length - 1))];
  const names = [`ivit/web (${isa})`, ...forms.map(({ precision }) => `onnxruntime-web, ${precision}`)];
  const own = quantile(times[0], 0.5);
  console.log(`Chromium ${version}, one thread, ${times[0].length} rounds\n`);
  console.log('| what | median | least | 90 % | × the time of ivit |\n| --- | ---: | ---: | ---: | ---: |');
  for (const [i, list] of times.entries()) {
    const [least, median, most] = [0, 0.5, 0.9].map((share) => quantile(list, share));
    const cells = [least, median, most].map((ms) => `${ms.toFixed(1)} ms`);
    console.log(`| ${names[i]} | ${cells[1]} | ${cells[0]} | ${cells[2]} | ${(median / own).toFixed(2)} |`);
  }
}
