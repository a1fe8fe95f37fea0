/** docs/library.md: every block of code is checked by TypeScript and run, in the page's order, on the built package. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { transformSync } from 'esbuild';
import { beforeAll, describe, expect, test } from 'vitest';
import { REPOSITORY, temporaryFolder } from '../cli/ivit.js';
import { installPackage } from '../package/install.js';
import { SCENES } from '../scenes.js';

const page = readFileSync(path.join(REPOSITORY, 'docs/library.md'), 'utf8');

interface Block {
  /** The heading that it stands under. */
  readonly heading: string;
  readonly code: string;
}

function blocksOf(text: string): Block[] {
  const blocks: Block[] = [];
  let heading = '';
  for (const [, title, code] of text.matchAll(/^#+ (.*)$|^```[jt]s\n([\s\S]*?)^```$/gm))
    if (title !== undefined) heading = title;
    else blocks.push({ heading, code });
  return blocks;
}

/** `value; // → 1` must be that, and `value; // what it is` must be something. */
function asProgram(code: string): string {
  const checked = code
    .replaceAll(/^( *)(.+); \/\/ → (.+)$/gm, '$1assert.deepEqual($2, $3);')
    .replaceAll(/^( *)([\w.?[\]]+|await [\w.()]+); \/\/ .*$/gm, '$1assert.notEqual($2, undefined);');
  const { code: plain } = transformSync(checked, { loader: 'ts', format: 'esm', target: 'node20' });
  return `import assert from 'node:assert/strict';\n${plain}`;
}

const blocks = blocksOf(page);
const folder = temporaryFolder();

beforeAll(() => {
  installPackage(folder.path('.'), { extras: ['@types/node', 'onnxruntime-node'] });
  writeFileSync(folder.path('package.json'), '{ "type": "module" }');
  cpSync(path.join(SCENES, 'scenes_vit.onnx'), folder.path('model.onnx'));
  cpSync(path.join(SCENES, 'preprocessor_config.json'), folder.path('preprocessor_config.json'));
  cpSync(path.join(SCENES, 'config.json'), folder.path('config.json'));
  mkdirSync(folder.path('photos'));
  let photos = 0;
  for (const name of readdirSync(path.join(SCENES, 'test'))) {
    const files = readdirSync(path.join(SCENES, 'test', name)).map((file) => path.join(SCENES, 'test', name, file));
    for (const file of files.slice(0, 4)) cpSync(file, folder.path('photos', `photo${photos++}.jpg`));
    for (const file of files.slice(4, 6)) cpSync(file, folder.path('val', name, path.basename(file)));
  }
});

test('TypeScript takes every block', () => {
  const files = blocks.map(({ code }, i) => {
    const file = `block${i}.ts`;
    writeFileSync(folder.path(file), code);
    return file;
  });
  const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--types', 'node'];
  const tsc = path.join(REPOSITORY, 'node_modules/typescript/bin/tsc');
  const { stdout } = spawnSync(process.execPath, [tsc, ...files, ...options], {
    cwd: folder.path('.'),
    encoding: 'utf8',
  });
  expect(stdout).toBe('');
});

describe('docs/library.md', () => {
  test('has its blocks', () => {
    expect(blocks.length).toBeGreaterThan(6);
  });

  for (const [i, { heading, code }] of blocks.entries())
    test(`${heading} (block ${i + 1})`, () => {
      writeFileSync(folder.path('program.js'), asProgram(code));
      const { status, stderr } = spawnSync(process.execPath, ['program.js'], {
        cwd: folder.path('.'),
        encoding: 'utf8',
        timeout: 100_000,
      });
      expect(stderr).toBe('');
      expect(status).toBe(0);
    });
});
