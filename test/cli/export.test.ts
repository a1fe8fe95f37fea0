import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { ivit, saveTinyModel, temporaryFolder, type RunOptions } from './ivit.js';

const folder = temporaryFolder();

beforeAll(async () => {
  await saveTinyModel(folder.path('tiny.ivit'));
  await saveTinyModel(folder.path('7 Ivit.ivit'));
  await saveTinyModel(folder.path('int8.ivit'));
  await mkdir(folder.path('mine'));
  await writeFile(folder.path('mine', 'main.c'), 'int main(void) { return 0; }\n');
  await writeFile(folder.path('mine', 'tiny.h'), 'old');
  await writeFile(folder.path('file'), 'text');
});

const run = (...args: string[]) => ivit(['export', ...args], { cwd: folder.path() });

/** The same on a disk with a fault: a module of this folder. */
const runOn = (disk: string, args: string[], options: RunOptions = {}) =>
  ivit(['export', ...args], {
    ...{ cwd: folder.path(), env: { NODE_OPTIONS: `--import ${path.join(import.meta.dirname, disk)}` } },
    ...options,
  });

const FILES = ['.c', '.h', '_kernels.h', '_memory.c', '_test.c', '_weights.c', '_weights.h'].map((end) => `tiny${end}`);

describe('export', () => {
  test('writes a folder by the names of model and target, and says what it needs', async () => {
    const { code, stdout, stderr } = await run('tiny.ivit', '--to', 'c');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^Exported tiny\.ivit to tiny-c\n/);
    expect(stdout).toMatch(/arena +\d+ bytes, blocks of \d+ rows\n/);
    expect(await folder.files('tiny-c')).toEqual(['Makefile', ...FILES].sort());
  });

  test('--json: the files and their bytes, and the memory of each op', async () => {
    const { stdout } = await run('tiny.ivit', '--to', 'c', '-o', 'json', '--json');
    const { output, files, memory, summary } = JSON.parse(stdout);
    expect(output).toBe('json');
    for (const { path, bytes } of files) expect((await readFile(folder.path('json', path))).length, path).toBe(bytes);
    const most = Math.max(...memory.map(({ bytes }: { bytes: number }) => bytes));
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(Number.parseInt(summary.arena));
    const { stdout: text } = await run('tiny.ivit', '--to', 'c', '-o', 'ram', '--ram-report');
    expect(text).toMatch(new RegExp(` ${most}\\n`));
  });

  test('a name that C could not have is changed; one that is given must be right', async () => {
    expect((await run('7 Ivit.ivit', '--to', 'c', '--json')).stdout).toMatch(/"output": "model_7_ivit-c"/);
    expect((await run('int8.ivit', '--to', 'c', '--json')).stdout).toMatch(/"output": "model_int8-c"/);
    expect((await run('int8.ivit', '--to', 'onnx', '--json')).stdout).toMatch(/"output": "int8\.onnx"/);
    const named = await run('tiny.ivit', '--to', 'c', '-o', 'named', '--name', 'Net');
    expect(named.code).toBe(0);
    expect(await readFile(folder.path('named', 'Net.h'), 'utf8')).toMatch(/int Net_run\(const uint8_t \*pixels, /);
  });

  test('--force: only files of the same names are replaced', async () => {
    const { code } = await run('tiny.ivit', '--to', 'c', '-o', 'mine', '--force');
    expect(code).toBe(0);
    expect(await folder.files('mine')).toEqual(['Makefile', 'main.c', ...FILES].sort());
    expect(await readFile(folder.path('mine', 'tiny.h'), 'utf8')).not.toBe('old');
  });
});

test('--force: where one file cannot be replaced, all stay as they were', async () => {
  await mkdir(folder.path('half'));
  for (const name of ['Makefile', 'tiny.c', 'tiny.h']) await writeFile(folder.path('half', name), `old ${name}`);
  await mkdir(folder.path('half', 'tiny_weights.h'));
  const { code, stderr } = await run('tiny.ivit', '--to', 'c', '-o', 'half', '--force');
  expect({ code, stderr }).toEqual({
    code: 3,
    stderr: 'error: Cannot write half: tiny_weights.h in it is a folder; move it away\n',
  });
  expect(await folder.files('half')).toEqual(['Makefile', 'tiny.c', 'tiny.h', 'tiny_weights.h']);
  for (const name of ['Makefile', 'tiny.c', 'tiny.h'])
    expect(await readFile(folder.path('half', name), 'utf8')).toBe(`old ${name}`);
  expect((await readdir(folder.path())).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});

describe('export to a disk', () => {
  test('of its own, which is the folder itself', async () => {
    await mkdir(folder.path('mount'));
    const { code, stderr } = await runOn('own-disk.mjs', ['tiny.ivit', '--to', 'c', '-o', 'mount/']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(await folder.files('mount')).toEqual(['Makefile', ...FILES].sort());
  });

  test.each([
    ['a new folder', ['--to', 'c', '-o', 'none']],
    ['an empty folder', ['--to', 'c', '-o', 'empty']],
    ['a folder of files', ['--to', 'c', '-o', 'empty', '--force']],
    ['a file', ['--to', 'onnx', '-o', 'none.onnx']],
  ])('that is full: %s', async (_what, args) => {
    await mkdir(folder.path('empty'), { recursive: true });
    const before = await readdir(folder.path(), { recursive: true });
    const { code, stderr } = await runOn('full-disk.mjs', ['tiny.ivit', ...args]);
    expect(stderr.replace(/\d+/, 'N')).toBe(
      `error: Cannot write ${args[3]}: no space left for its N bytes; free some, or choose another place with -o\n`,
    );
    expect(code).toBe(3);
    expect(await readdir(folder.path(), { recursive: true })).toEqual(before);
  });

  test.each(['SIGINT', 'SIGKILL'] as const)('that is slow, ended by %s: all files or none', async (signal) => {
    const output = `interrupted-${signal}`;
    const { code, stderr } = await runOn('slow-disk.mjs', ['tiny.ivit', '--to', 'c', '-o', output], {
      onStderr: (text, kill) => text.includes('writing') && kill(signal),
    });
    expect(stderr).toContain('writing');
    expect(signal === 'SIGINT' ? [0, 130] : [null]).toContain(code);
    const entries = await readdir(folder.path());
    if (signal === 'SIGINT') expect(entries.filter((name) => name.endsWith('.tmp'))).toEqual([]);
    if (entries.includes(output)) expect(await folder.files(output)).toEqual(['Makefile', ...FILES].sort());
    else expect((await run('tiny.ivit', '--to', 'c', '-o', output)).code).toBe(0);
  });
});

describe('export refuses', () => {
  test.each<[string, string[], number, RegExp]>([
    ['a report of memory that it does not plan', ['tiny.ivit', '--to', 'onnx', '--ram-report'], 2, /--ram-report/],
    ['no target', ['tiny.ivit'], 2, /required option '--to <target>'/],
    ['a target that is none', ['tiny.ivit', '--to', 'onx'], 2, /must be one of c, onnx; did you mean onnx\?$/m],
    [
      'a name that is none',
      ['tiny.ivit', '--to', 'c', '--name', '2x'],
      2,
      /begin with a letter, but not with ivit: 2x/,
    ],
    ['a name of the kernels', ['tiny.ivit', '--to', 'c', '--name', 'ivit_x'], 2, /not with ivit: ivit_x/],
    ['a name of a header', ['tiny.ivit', '--to', 'c', '--name', 'Signal'], 2, /Signal is taken: C or the system has/],
    ['an option of another target', ['tiny.ivit', '--to', 'onnx', '--tile', '2'], 2, /onnx has no option tile/],
    ['a form that is none', ['tiny.ivit', '--to', 'c', '--weights', 'x'], 2, /must be one of c, bin, section/],
    ['a model that is not there', ['absent.ivit', '--to', 'c'], 3, /absent\.ivit: there is no such file/],
    ['a file in place of a folder', ['tiny.ivit', '--to', 'c', '-o', 'file'], 3, /file: it is a file, and the export/],
    [
      'a folder in a folder that is not there',
      ['tiny.ivit', '--to', 'c', '-o', 'no/where'],
      3,
      /Cannot write no\/where/,
    ],
  ])('%s', async (_what, args, code, message) => {
    const before = await readdir(folder.path());
    const outcome = await run(...args);
    expect(outcome.stderr).toMatch(message);
    expect(outcome).toMatchObject({ code, stdout: '' });
    expect(await readdir(folder.path())).toEqual(before);
  });

  test('a folder that is not empty, which stays as it is', async () => {
    await mkdir(folder.path('full'));
    await writeFile(folder.path('full', 'notes.txt'), 'mine');
    const { code, stderr } = await run('tiny.ivit', '--to', 'c', '-o', 'full');
    expect(code).toBe(3);
    expect(stderr).toMatch(/^error: full is not empty; choose another folder with -o, or replace .* --force\n$/);
    expect(await folder.files('full')).toEqual(['notes.txt']);
  });
});
