/** The package works in folders of any name: nothing takes a URL for a path. */
import { spawnSync } from 'node:child_process';
import { beforeAll, expect, test } from 'vitest';
import { messagesOf, savePhoto, saveTinyModel, temporaryFolder } from '../cli/ivit.js';
import { HAS_ADDON, installPackage } from './install.js';

const NAMES = ['with space', 'a#b', '100%25 %', 'what?', '[brackets] {and} (more)', 'Übung', '模型', "it's & $HOME;~"];

const folder = temporaryFolder();

beforeAll(async () => {
  await saveTinyModel(folder.path('tiny.ivit'));
  for (const i of [1, 2, 3]) await savePhoto(folder.path(`photos/cat/${i}.png`), i);
});

test.each(NAMES)('in a folder called %s every backend loads', (name) => {
  const executable = installPackage(folder.path(name));
  for (const backend of HAS_ADDON ? ['native', 'wasm'] : ['wasm']) {
    // A backend asked for gives way to no other. Several images on two threads: WebAssembly starts its workers.
    const options = ['--dataset', folder.path('photos'), '-m', folder.path('tiny.ivit'), '--threads', '2', '--json'];
    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      [executable, 'eval', ...options, '--backend', backend],
      { encoding: 'utf8' },
    );
    expect(messagesOf(stderr)).toBe('');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ images: 3 });
  }
});
