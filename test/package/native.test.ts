/** Where the native kernels come from in an installed package, and what is said where they are missing. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { prebuiltPackage } from '../../src/engine/load.js';
import { REPOSITORY, savePhoto, saveTinyModel, temporaryFolder, messagesOf } from '../cli/ivit.js';
import { HAS_ADDON, installPackage } from './install.js';

const folder = temporaryFolder();
/** No compiler is found in it. */
const NO_COMPILER = { PATH: '', CC: '' };

beforeAll(async () => {
  await saveTinyModel(folder.path('tiny.ivit'));
  await savePhoto(folder.path('photos/cat/1.png'), 1);
});

function run(executable: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const options = { encoding: 'utf8', env: { ...process.env, ...env } } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [executable, ...args], options);
  return { status, stdout, stderr: messagesOf(stderr) };
}

interface Findings {
  readonly backend: { readonly name: string };
  readonly native: { readonly ok: boolean; readonly file: string | null; readonly reason: string | null };
  readonly onnxruntime: { readonly name: string };
  readonly advice: readonly string[];
}

function doctor(executable: string, env?: Readonly<Record<string, string>>): Findings {
  const { status, stdout, stderr } = run(executable, ['doctor', '--json'], env);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return JSON.parse(stdout) as Findings;
}

test('without add-on and compiler, WebAssembly runs, and every command says so and what to do', () => {
  const executable = installPackage(folder.path('bare'), { addon: false });
  const findings = doctor(executable, NO_COMPILER);
  expect(findings.backend.name).toBe('wasm');
  expect(findings.native.reason).toContain('not compiled');
  expect(findings.onnxruntime.name).toBe('onnxruntime-web');
  expect(findings.advice.join()).toContain('npx ivit build-native');
  expect(findings.advice.join()).toContain('npm install onnxruntime-node');

  const options = ['-m', folder.path('tiny.ivit')];
  for (const args of [
    ['infer', folder.path('photos/cat/1.png'), ...options],
    ['eval', '--dataset', folder.path('photos'), ...options],
  ]) {
    const { status, stderr } = run(executable, args, NO_COMPILER);
    expect(status).toBe(0);
    expect(stderr).toMatch(/^note: the WebAssembly kernels run, .*npx ivit build-native.*\n$/);
    // Who asks for it is told nothing.
    expect(run(executable, [...args, '--backend', 'wasm'], NO_COMPILER).stderr).toBe('');
  }

  const built = run(executable, ['build-native'], NO_COMPILER);
  expect(built.status).toBe(3);
  expect(built.stderr).toContain('no C compiler was found');
});

test('without the image decoder all but decoding works', () => {
  const executable = installPackage(folder.path('no-sharp'));
  rmSync(folder.path('no-sharp/node_modules/sharp'));
  expect(run(executable, ['--help'])).toMatchObject({ status: 0, stderr: '' });
  expect(run(executable, ['inspect', folder.path('tiny.ivit')])).toMatchObject({ status: 0, stderr: '' });
  expect(doctor(executable).advice.join()).toContain('npm install sharp');
  const { status, stderr } = run(executable, [
    'infer',
    folder.path('photos/cat/1.png'),
    '-m',
    folder.path('tiny.ivit'),
  ]);
  expect(status).toBe(3);
  expect(stderr).toMatch(/^error: The image decoder sharp does not load .*npm install sharp/);
});

describe.skipIf(!HAS_ADDON)('with a C compiler', () => {
  test('build-native compiles the add-on in an installed package', () => {
    const executable = installPackage(folder.path('with space', 'compiled'), { addon: false });
    expect(run(executable, ['build-native'])).toMatchObject({ status: 0, stderr: '' });
    expect(doctor(executable).backend.name).toBe('native');
  });

  test('a long command compiles it by itself, once, and tries once', () => {
    const executable = installPackage(folder.path('by-itself'), { addon: false });
    const args = ['eval', '--dataset', folder.path('photos'), '-m', folder.path('tiny.ivit')];
    const failing = run(executable, args, { CC: process.execPath });
    expect(failing.status).toBe(0);
    expect(failing.stderr).toMatch(/^note: compiling the native kernels.*\nnote: the WebAssembly kernels run.*\n$/);
    expect(run(executable, args).stderr).toMatch(/^note: the WebAssembly kernels run.*\n$/);
    expect(run(executable, ['build-native']).status).toBe(0);
    expect(run(executable, args).stderr).toBe('');
  });

  test('a prebuilt package of the same version is loaded, another is not', () => {
    const made = run(path.join(REPOSITORY, 'tools/prebuilt.mjs'), ['--out', folder.path('npm')]);
    expect(made.status).toBe(0);
    const executable = installPackage(folder.path('prebuilt'), { addon: false });
    const name = prebuiltPackage();
    const installed = folder.path('prebuilt/node_modules', name);
    cpSync(folder.path('npm', name), installed, { recursive: true });
    expect(existsSync(path.join(installed, 'LICENSE'))).toBe(true);
    expect(doctor(executable, NO_COMPILER)).toMatchObject({ backend: { name: 'native' }, advice: [expect.anything()] });

    const manifest = path.join(installed, 'package.json');
    const content = JSON.parse(readFileSync(manifest, 'utf8')) as object;
    writeFileSync(manifest, JSON.stringify({ ...content, version: '0.0.1' }));
    expect(doctor(executable, NO_COMPILER).native).toMatchObject({ ok: false, reason: expect.stringMatching('0.0.1') });
  });
});
