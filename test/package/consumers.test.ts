/** Programs that use the library: checked by TypeScript in every way of resolving it, and packed by a bundler. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { rolldown } from 'rolldown';
import { beforeAll, describe, expect, test } from 'vitest';
import { REPOSITORY, savePhoto, saveTinyModel, saveTinyOnnx, temporaryFolder } from '../cli/ivit.js';
import { installPackage } from './install.js';

const folder = temporaryFolder();

const PROGRAM = `
import { Model, decodeImage, evaluate, quantize, type ErrorCode } from 'ivit';
import { paper } from 'ivit/kernels';

export async function classify(file: string): Promise<number> {
  const model: Model = await Model.load(file, { backend: 'wasm', threads: 2 });
  const { predictions } = await model.infer(await decodeImage('photo.jpg'));
  return predictions[0]!.index;
}
export async function stream(file: string, images: AsyncIterable<string>, signal: AbortSignal): Promise<ErrorCode[]> {
  await using model = await Model.load(file, { signal, onProgress: (stage: 'read' | 'prepare', done, total) => {} });
  const codes: ErrorCode[] = [];
  for await (const { error, predictions } of model.inferAll(images, { signal })) {
    if (error !== undefined) codes.push(error.code);
    else predictions[0]!.probability.toFixed(2);
  }
  return codes;
}
export { evaluate, quantize, paper };
`;

beforeAll(async () => {
  installPackage(folder.path('app'), { extras: ['@types/node'] });
  writeFileSync(folder.path('app/package.json'), '{ "type": "module" }');
  writeFileSync(folder.path('app/program.ts'), PROGRAM);
  await saveTinyModel(folder.path('app/tiny.ivit'));
  await saveTinyOnnx(folder.path('app/tiny.onnx'));
  await savePhoto(folder.path('app/photo.png'), 1);
});

test.each([
  ['node10', 'es2022', ['--ignoreDeprecations', '6.0']],
  ['nodenext', 'nodenext', []],
  ['bundler', 'esnext', []],
])('TypeScript finds the types with moduleResolution %s', (resolution, module, extra) => {
  const options = ['--moduleResolution', resolution, '--module', module, ...extra];
  const common = ['--noEmit', '--strict', '--target', 'es2022', '--types', 'node'];
  const tsc = path.join(REPOSITORY, 'node_modules/typescript/bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [tsc, 'program.ts', ...common, ...options], {
    cwd: folder.path('app'),
    encoding: 'utf8',
  });
  expect(stdout).toBe('');
  expect(status).toBe(0);
});

const PAGE = `
import { loadModel, type WebModel } from 'ivit/web';

export async function classify(image: ImageData, signal: AbortSignal): Promise<number> {
  using model: WebModel = await loadModel('model.ivit', { signal });
  return model.predictions(await model.run(image))[0]!.index;
}
`;

test('TypeScript takes a page, without the types of Node and without a library for its own disposal', () => {
  writeFileSync(folder.path('app/page.ts'), PAGE);
  const resolution = { module: 'esnext', moduleResolution: 'bundler', target: 'es2022' };
  const compilerOptions = { ...resolution, lib: ['es2022', 'dom'], types: [], strict: true, noEmit: true };
  writeFileSync(folder.path('app/tsconfig.page.json'), JSON.stringify({ compilerOptions, files: ['page.ts'] }));
  const tsc = path.join(REPOSITORY, 'node_modules/typescript/bin/tsc');
  const { stdout } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.page.json'], {
    cwd: folder.path('app'),
    encoding: 'utf8',
  });
  expect(stdout).toBe('');
});

const BUNDLED = `
import { Model, decodeImage, quantize } from 'ivit';
for (const backend of ['native', 'wasm']) {
  const model = await Model.load('tiny.ivit', { backend, threads: 2 }).catch(() => null);
  if (model === null) continue;
  const image = await decodeImage('photo.png');
  await Promise.all([model.infer(image), model.infer(image)]);
  console.log(backend);
  await model.close();
}
const { runtime } = await quantize('tiny.onnx', { output: 'new.ivit', numImages: 4, effort: 'fast' });
console.log(runtime);
`;

async function bundle(input: string, file: string, format: 'esm' | 'cjs'): Promise<void> {
  const packed = await rolldown({ input, platform: 'node', external: ['sharp'], logLevel: 'silent' });
  await packed.write({ file, format, codeSplitting: false });
  await packed.close();
}

function runBundle(file: string, cwd: string) {
  return spawnSync(process.execPath, [file], { cwd, encoding: 'utf8' });
}

describe('bundled into one file', () => {
  test('the library finds its files in node_modules', async () => {
    writeFileSync(folder.path('app/bundled.js'), BUNDLED);
    mkdirSync(folder.path('app/out'));
    await bundle(folder.path('app/bundled.js'), folder.path('app/out/bundle.mjs'), 'esm');
    expect(readFileSync(folder.path('app/out/bundle.mjs'), 'utf8')).not.toMatch(/from "(ivit|valibot)"/);
    const { stdout, stderr } = runBundle(folder.path('app/out/bundle.mjs'), folder.path('app'));
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^(native\n)?wasm\nonnxruntime-web\n$/);
  });

  test('it says what is missing where node_modules are not there', async () => {
    mkdirSync(folder.path('elsewhere/node_modules'), { recursive: true });
    const sharp = path.join(REPOSITORY, 'node_modules/sharp');
    symlinkSync(sharp, folder.path('elsewhere/node_modules/sharp'), 'junction');
    copyFileSync(folder.path('app/out/bundle.mjs'), folder.path('elsewhere/bundle.mjs'));
    const { status, stderr } = runBundle(folder.path('elsewhere/bundle.mjs'), folder.path('elsewhere'));
    expect(status).not.toBe(0);
    expect(stderr).toContain('--external:ivit');
  });
});
