/** The package works in folders of any name: nothing takes a URL for a path. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { REPOSITORY, savePhoto, saveTinyModel, temporaryFolder } from '../cli/ivit.js';

const NAMES = ['with space', 'a#b', '100%25 %', 'what?', '[brackets] {and} (more)', 'Übung', '模型', "it's & $HOME;~"];
const NEEDED = ['package.json', 'bin', 'dist', 'native/wasm', 'native/build/Release/ivit.node'];

const folder = temporaryFolder();

beforeAll(async () => {
  await saveTinyModel(folder.path('tiny.ivit'));
  for (const i of [1, 2, 3]) await savePhoto(folder.path(`photos/cat/${i}.png`), i);
});

/** Copies what is installed of the package to a folder of that name. */
function install(name: string): string {
  const target = folder.path(name, 'node_modules/ivit');
  for (const part of NEEDED) {
    const source = path.join(REPOSITORY, part);
    if (!existsSync(source)) continue;
    mkdirSync(path.dirname(path.join(target, part)), { recursive: true });
    cpSync(source, path.join(target, part), { recursive: true });
  }
  symlinkSync(path.join(REPOSITORY, 'node_modules'), path.join(target, 'node_modules'), 'junction');
  return target;
}

test.each(NAMES)('in a folder called %s every backend loads', (name) => {
  const installed = install(name);
  const backends = existsSync(path.join(installed, 'native/build')) ? ['native', 'wasm'] : ['wasm'];
  for (const backend of backends) {
    // A backend asked for gives way to no other. Several images on two threads: WebAssembly starts its workers.
    const options = ['--dataset', folder.path('photos'), '-m', folder.path('tiny.ivit'), '--threads', '2', '--json'];
    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      [path.join(installed, 'bin/ivit.js'), 'eval', ...options, '--backend', backend],
      { encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ images: 3 });
  }
});
