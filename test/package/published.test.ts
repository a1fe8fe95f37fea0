/** The tarball that npm would publish, as publint and arethetypeswrong read it. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { beforeAll, expect, test } from 'vitest';
import { REPOSITORY, temporaryFolder } from '../cli/ivit.js';

const folder = temporaryFolder();
let tarball: Buffer;
let files: string[];

beforeAll(() => {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder.path('.')];
  const { stdout, stderr } = spawnSync('npm', args, { cwd: REPOSITORY, encoding: 'utf8' });
  expect(stdout, stderr).not.toBe('');
  const [{ filename, files: packed }] = JSON.parse(stdout) as { filename: string; files: { path: string }[] }[];
  files = packed.map((file) => file.path);
  tarball = readFileSync(folder.path(filename));
});

const bufferOf = ({ buffer, byteOffset, byteLength }: Buffer): ArrayBuffer =>
  buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;

test('it holds what its own files and the documents name', () => {
  const { man } = JSON.parse(readFileSync(path.join(REPOSITORY, 'package.json'), 'utf8')) as { man: string };
  const readme = readFileSync(path.join(REPOSITORY, 'README.md'), 'utf8');
  const named = [...readme.matchAll(/node_modules\/ivit\/([\w./-]+\w)/g)].map(([, file]) => file);
  expect(named).toEqual(expect.arrayContaining([man, 'ivit.schema.json']));
  expect(files).toEqual(expect.arrayContaining(named));
});

test('publint has nothing to say', async () => {
  const { messages, pkg } = await publint({ pack: { tarball: bufferOf(tarball) } });
  expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
});

test('types are found from every entry, ivit/web among them', async () => {
  const result = await checkPackage(createPackageFromTarballData(tarball));
  if (result.types === false) throw new Error('there are no types');
  expect(Object.keys(result.entrypoints)).toEqual(expect.arrayContaining(['.', './kernels', './web', './web/decode']));
  // What require() gets of a package of ES modules is one in Node from 20.19 on.
  expect(result.problems.filter(({ kind }) => kind !== 'CJSResolvesToESM')).toEqual([]);
});
