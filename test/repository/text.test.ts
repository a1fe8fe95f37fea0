import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const REPOSITORY = path.resolve(import.meta.dirname, '../..');

/** Text files that git tracks. */
function trackedTexts(): { file: string; text: string }[] {
  const files = execFileSync('git', ['ls-files', '-z'], { cwd: REPOSITORY, encoding: 'utf8' })
    .split('\0')
    .filter(Boolean);
  return files
    .map((file) => ({ file, path: path.join(REPOSITORY, file) }))
    .filter((one) => statSync(one.path, { throwIfNoEntry: false })?.isFile())
    .map((one) => ({ file: one.file, bytes: readFileSync(one.path) }))
    .filter(({ bytes }) => !bytes.includes(0))
    .map(({ file, bytes }) => ({ file, text: bytes.toString('utf8') }));
}

/** A tarball of the source has no git: there is nothing to list then. */
const isCheckout = statSync(path.join(REPOSITORY, '.git'), { throwIfNoEntry: false }) !== undefined;

test.skipIf(!isCheckout)('no tracked file names a machine, its folders or its registry', () => {
  const texts = trackedTexts();
  expect(texts.length).toBeGreaterThan(50);
  // Written in pieces, so that this file does not find itself.
  const forbidden = [
    ['/wo', 'rk/'],
    ['/ro', 'ot/'],
    ['/ho', 'me/'],
    ['/Us', 'ers/'],
    ['/tm', 'p/'],
  ].map((parts) => parts.join(''));
  const found = texts.flatMap(({ file, text }) =>
    forbidden.filter((part) => text.includes(part)).map((part) => `${file}: ${part}`),
  );
  expect(found).toEqual([]);
});

test.skipIf(!isCheckout)('the lockfile names no registry but the public one', () => {
  const lock = JSON.parse(readFileSync(path.join(REPOSITORY, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { resolved?: string }>;
  };
  const hosts = new Set(
    Object.values(lock.packages).flatMap(({ resolved }) =>
      resolved?.startsWith('http') ? [new URL(resolved).host] : [],
    ),
  );
  const publicHost = ['registry', 'npmjs', 'org'].join('.');
  expect([...hosts].filter((host) => host !== publicHost)).toEqual([]);
});

test('the README gives the accuracy that its page does', () => {
  const rowsOf = (file: string): string[] =>
    readFileSync(path.join(REPOSITORY, file), 'utf8')
      .split('\n')
      .filter((line) => /^\| (DeiT|ViT)-Tiny \|/.test(line));
  const shown = rowsOf('README.md');
  expect(shown.length).toBeGreaterThan(3);
  expect(rowsOf('docs/accuracy.md')).toEqual(expect.arrayContaining(shown));
});
