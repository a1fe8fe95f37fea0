import { existsSync } from 'node:fs';
import path from 'node:path';
import { globSync } from 'tinyglobby';
import { describe, expect, test } from 'vitest';
import { filesBelow, isCheckout, REPOSITORY, textOf } from '../repository/sources.js';

/** The pages of the repository. What the changelog says of older versions may be gone. */
const PAGES = isCheckout ? filesBelow('.').filter((file) => file.endsWith('.md')) : [];
const CURRENT = PAGES.filter((file) => file !== 'CHANGELOG.md');

/** GitHub's anchor of a heading. */
function anchorOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

function anchorsOf(page: string): string[] {
  return [...textOf(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading));
}

/** A page's text without its blocks of code. */
function proseOf(page: string): string {
  return textOf(page).replace(/^```[\s\S]*?^```$/gm, '');
}

/** Everything in `backticks`, blocks of code apart. */
function quoted(page: string): string[] {
  return [...proseOf(page).matchAll(/`([^`\n]+)`/g)].map(([, code]) => code);
}

describe.skipIf(!isCheckout)('the pages', () => {
  test('are found', () => {
    expect(PAGES).toEqual(expect.arrayContaining(['README.md', 'docs/architecture.md', 'CONTRIBUTING.md']));
  });

  test('link to files and headings that exist', () => {
    const broken = PAGES.flatMap((page) =>
      [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)]
        .map(([, target]) => target)
        .filter((target) => !/^(https?|mailto):/.test(target))
        .filter((target) => {
          const [file, anchor] = target.split('#');
          const to = file === '' ? page : path.posix.join(path.posix.dirname(page), file);
          if (!existsSync(path.join(REPOSITORY, to))) return true;
          return anchor !== undefined && !anchorsOf(to).includes(anchor);
        })
        .map((target) => `${page}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  test('name source files that exist', () => {
    const named = CURRENT.flatMap((page) =>
      quoted(page)
        .map((code) => /^((?:src|test|tools|native|bin|fixtures|docs)\/[\w./*{},-]*)$/.exec(code)?.[1])
        .filter((name) => name !== undefined)
        .map((name) => ({ page, name })),
    );
    expect(named.length).toBeGreaterThan(20);
    // What the build makes is no source; a pattern names at least one file.
    const built = /^native\/build\b/;
    const missing = named.filter(
      ({ name }) => !built.test(name) && globSync(name, { cwd: REPOSITORY, onlyFiles: false }).length === 0,
    );
    expect(missing.map(({ page, name }) => `${page}: ${name}`)).toEqual([]);
  });

  test('name npm scripts that exist', () => {
    const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
    const used = CURRENT.flatMap((page) =>
      [...textOf(page).matchAll(/npm (?:run (?:--silent )?([\w:-]+)|(test)\b)/g)].map(([, name, own]) => ({
        page,
        name: name ?? own,
      })),
    );
    expect(used.length).toBeGreaterThan(10);
    const missing = used.filter(({ name }) => !Object.hasOwn(scripts, name));
    expect(missing.map(({ page, name }) => `${page}: npm run ${name}`)).toEqual([]);
  });

  test('name scripts under tools/ and native/ that exist', () => {
    const used = CURRENT.flatMap((page) =>
      [...textOf(page).matchAll(/node ((?:tools|native)\/[\w./-]+)/g)].map(([, file]) => ({ page, file })),
    );
    expect(used.length).toBeGreaterThan(2);
    const missing = used.filter(({ file }) => !existsSync(path.join(REPOSITORY, file)));
    expect(missing.map(({ page, file }) => `${page}: ${file}`)).toEqual([]);
  });
});

describe.skipIf(!isCheckout)('the README', () => {
  const readme = isCheckout ? textOf('README.md') : '';
  const sources = isCheckout ? filesBelow('src/cli').map(textOf).join('\n') : '';
  /** Every option that a command defines, as commander is told of it: '-m, --model <file>'. */
  const defined = new Set([...sources.matchAll(/'(?:-\w, )?(--[\w-]+)[^']*'/g)].map(([, option]) => option));
  const ofOthers = ['--ignore-scripts', '--external', '--project'];

  test('names only options that a command has', () => {
    const named = [...readme.matchAll(/(?<![\w-])(--[a-z][\w-]*)/g)].map(([, option]) => option);
    expect(named.length).toBeGreaterThan(20);
    const known = (option: string): boolean =>
      defined.has(option) || ofOthers.includes(option) || ['--help', '--version'].includes(option);
    expect([...new Set(named)].filter((option) => !known(option))).toEqual([]);
  });

  test('names every command, and no other', () => {
    const commands = [...sources.matchAll(/\.command\('([\w-]+)/g)].map(([, name]) => name);
    const named = [...readme.matchAll(/\bivit ([a-z][a-z-]*)(?= |`)/g)].map(([, name]) => name);
    expect(commands.length).toBeGreaterThan(5);
    expect(commands.filter((name) => !named.includes(name))).toEqual([]);
    const called = [...readme.matchAll(/(?:npx|`|\$) ?ivit ([a-z][a-z-]*)/g)].map(([, name]) => name);
    // `help` is commander's own.
    expect([...new Set(called)].filter((name) => ![...commands, 'help'].includes(name))).toEqual([]);
  });
});

test.skipIf(!isCheckout)('no page is left out of the lists of documents', () => {
  const readme = textOf('README.md');
  const pages = filesBelow('docs').filter((file) => file.endsWith('.md'));
  expect(pages.filter((page) => !readme.includes(`(${page})`))).toEqual([]);
});
