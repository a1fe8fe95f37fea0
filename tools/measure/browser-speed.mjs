/**
 * `ivit/web` beside onnxruntime-web in one page of headless Chromium, one thread each: they run in turn, so other load
 * falls on all alike. The int8 forms are those of `ivit bench --float`.
 *
 *   node tools/measure/browser-speed.mjs MODEL.ivit FLOAT.onnx [rounds] [LITERT]
 *
 * LITERT is a folder where `npm install @litertjs/core` was run (38 MB): LiteRT.js takes part too, on the same float
 * model and with weights of int8, as tflite.mjs writes them.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { onnxForms } from '../../dist/bench/contenders.js';
import { importModel } from '../../dist/importer/index.js';
import { loadModel } from '../../dist/program/file.js';
import { root } from '../prepare.mjs';
import { writeTflite } from './tflite.mjs';

const [modelFile, floatFile, rounds = '50', litertFolder] = process.argv.slice(2);
const { program } = await loadModel(modelFile);
const { forms, inputs } = await onnxForms(floatFile, program.input, (text) => process.stderr.write(`note: ${text}\n`));
const [[inputName, { data, shape }]] = Object.entries(inputs);

const served = new Map([['/model.ivit', readFileSync(modelFile)]]);
for (const [i, { model }] of forms.entries())
  served.set(`/${i}.onnx`, typeof model === 'string' ? readFileSync(model) : Buffer.from(model));
served.set('/input.bin', bytesOf(data));
const litertForms = litertFolder === undefined ? [] : await prepareLitert();
const FOLDERS = { ivit: 'dist/web', ort: 'node_modules/onnxruntime-web/dist' };
if (litertFolder !== undefined) FOLDERS.litert = path.resolve(litertFolder, 'node_modules/@litertjs/core/wasm');
const TYPES = { '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };

const server = createServer((request, response) => {
  const [, folder, name] = request.url.split('/');
  const isFile = folder in FOLDERS && name !== undefined;
  const bytes = isFile
    ? readFileSync(path.resolve(root, FOLDERS[folder], path.basename(name)))
    : served.get(request.url);
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
  const results = await page.evaluate(measure, {
    ...{ count: forms.length, litertForms, rounds: Number(rounds), inputName, shape },
  });
  print(results, browser.version());
} finally {
  await browser.close();
  server.close();
}

function bytesOf({ buffer, byteOffset, byteLength }) {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** Puts LiteRT.js, its models and its input, channels last, among what is served. */
async function prepareLitert() {
  const { outputFiles } = await build({
    stdin: { contents: "export * from '@litertjs/core';", resolveDir: path.resolve(litertFolder) },
    ...{ bundle: true, format: 'esm', write: false, logLevel: 'error' },
  });
  served.set('/litert.js', Buffer.from(outputFiles[0].contents));
  const { graph } = await importModel(floatFile);
  const precisions = ['float', 'int8 weights'];
  precisions.forEach((_, i) => served.set(`/${i}.tflite`, Buffer.from(writeTflite(graph, { isInt8: i === 1 }))));
  const [, channels, height, width] = shape;
  const last = new Float32Array(data.length);
  data.forEach((value, i) => {
    const [c, at] = [Math.floor(i / (height * width)), i % (height * width)];
    last[at * channels + c] = value;
  });
  served.set('/input-last.bin', bytesOf(last));
  return precisions;
}

/** In the page. */
async function measure({ count, litertForms, rounds, inputName, shape }) {
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
  const outputs = [];
  if (litertForms.length > 0) {
    const address = '/litert.js';
    const { loadLiteRt, loadAndCompile, Tensor } = await import(address);
    await loadLiteRt('/litert/');
    const last = new Float32Array(await (await fetch('/input-last.bin')).arrayBuffer());
    const [batch, channels, height, width] = shape;
    const expected = Object.values(await runs[1]())[0].data;
    for (let i = 0; i < litertForms.length; i++) {
      const compiled = await loadAndCompile(`/${i}.tflite`, { accelerator: 'wasm' });
      const input = new Tensor(last, [batch, height, width, channels]);
      const run = async () => {
        const [result] = await compiled.run([input]);
        const values = await result.data();
        result.delete();
        return values;
      };
      const values = await run();
      const [signal, error] = [0, 1].map((kind) =>
        expected.reduce((sum, one, n) => sum + (kind === 0 ? one : one - values[n]) ** 2, 0),
      );
      outputs.push(10 * Math.log10(signal / error));
      runs.push(run);
    }
  }
  const times = runs.map(() => []);
  for (let round = -3; round < rounds; round++)
    for (const [i, run] of runs.entries()) {
      const start = performance.now();
      await run();
      if (round >= 0) times[i].push(performance.now() - start);
    }
  return { isa: model.info.isa, times, outputs };
}

function print({ isa, times, outputs }, version) {
  const quantile = (list, share) => list.toSorted((a, b) => a - b)[Math.floor(share * (list.length - 1))];
  const names = [
    `ivit/web (${isa})`,
    ...forms.map(({ precision }) => `onnxruntime-web, ${precision}`),
    ...litertForms.map((precision, i) => `LiteRT.js, ${precision} (${outputs[i].toFixed(1)} dB)`),
  ];
  const own = quantile(times[0], 0.5);
  console.log(`Chromium ${version}, one thread, ${times[0].length} rounds\n`);
  console.log('| what | median | least | 90 % | × the time of ivit |\n| --- | ---: | ---: | ---: | ---: |');
  for (const [i, list] of times.entries()) {
    const [least, median, most] = [0, 0.5, 0.9].map((share) => quantile(list, share));
    const cells = [least, median, most].map((ms) => `${ms.toFixed(1)} ms`);
    console.log(`| ${names[i]} | ${cells[1]} | ${cells[0]} | ${cells[2]} | ${(median / own).toFixed(2)} |`);
  }
}
