/** What fails around ivit: streams, disks, folders, signals, files that change. The real executable is run. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmod, copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.js';
import { loadModel } from '../../src/program/file.js';
import { encodeModel } from '../../src/program/model.js';
import { REPOSITORY, ivit, savePhoto, saveTinyModel, saveTinyOnnx, temporaryFolder, messagesOf } from '../cli/ivit.js';
import { tinyModel, tinyProgram } from '../program/tiny.js';
import { sha256 } from './rehash.js';

const EXECUTABLE = path.join(REPOSITORY, 'bin/ivit.js');
const folder = temporaryFolder();
const QUANTIZE = ['quantize', 'm.onnx', '--images', 'photos', '--effort', 'fast', '-o'];
const LIST = 'photos/0.png 0\nphotos/1.png 1\nphotos/2.png 2\n';
const isRoot = process.getuid?.() === 0;
const hasBash = spawnSync('bash', ['-c', 'ulimit -f']).status === 0;

beforeAll(async () => {
  await chmod(folder.path(), 0o755);
  await saveTinyModel(folder.path('tiny.ivit'));
  await saveTinyOnnx(folder.path('m.onnx'));
  for (let i = 0; i < 3; i++) await savePhoto(folder.path('photos', `${i}.png`), i, 16);
  await writeFile(folder.path('short.txt'), LIST);
  await writeFile(folder.path('list.txt'), LIST.repeat(2000));
});

/** A line of bash, in which `$IVIT` stands for the command. */
function bash(line: string, env?: Record<string, string>) {
  const { status, stdout, stderr } = spawnSync('bash', ['-c', line], {
    ...{ cwd: folder.path(), encoding: 'utf8' },
    env: env ?? { ...process.env, NODE: process.execPath, IVIT: EXECUTABLE },
  });
  return { status, stdout, stderr: messagesOf(stderr) };
}

const RUN = '"$NODE" "$IVIT"';

describe.skipIf(!hasBash)('streams', () => {
  test.each(['infer -m tiny.ivit photos photos photos', 'inspect tiny.ivit', 'verify tiny.ivit --json', '--help'])(
    '%s | head -c 1: a quiet end',
    (command) => {
      const { status, stderr } = bash(`set -o pipefail; ${RUN} ${command} | head -c 1`);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    },
  );

  test('a reader that is gone before the first line', () => {
    const { status, stderr } = bash(`set -o pipefail; ${RUN} infer -m tiny.ivit photos | true`);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test('standard error goes to a reader that is gone: the work is done all the same', async () => {
    const { status } = bash(`set -o pipefail; ${RUN} ${QUANTIZE.join(' ')} heard.ivit 2>&1 >/dev/null | true`);
    expect(status).toBe(0);
    await loadModel(folder.path('heard.ivit'));
  });

  test('closed streams', () => {
    expect(bash(`${RUN} infer -m tiny.ivit photos <&-`)).toMatchObject({ status: 0, stderr: '' });
    expect(bash(`${RUN} inspect tiny.ivit >&-`)).toMatchObject({ status: 0, stderr: '' });
    expect(bash(`${RUN} inspect nowhere.ivit 2>&-`).status).toBe(3);
    expect(bash(`${RUN} inspect tiny.ivit <&- >&- 2>&-`).status).toBe(0);
  });

  test.skipIf(process.platform !== 'linux').each(['inspect tiny.ivit', 'infer -m tiny.ivit photos --json'])(
    '%s > /dev/full: one line',
    (command) => {
      const { status, stderr } = bash(`${RUN} ${command} > /dev/full`);
      expect(stderr).toBe('error: Cannot write to standard output: no space left on its disk\n');
      expect(status).toBe(3);
    },
  );
});

/** What is in the folder beside the files of these tests. */
const hidden = async (inside = '.') => (await folder.files(inside)).filter((name) => name.endsWith('.tmp'));

describe.skipIf(!hasBash)('disks: the old output stays as it was, and nothing is left beside it', () => {
  test('a limit on the size of files, as ulimit -f sets it', async () => {
    await copyFile(folder.path('tiny.ivit'), folder.path('old.ivit'));
    const { status, stderr } = bash(`ulimit -f 2; ${RUN} ${QUANTIZE.join(' ')} old.ivit`);
    expect(stderr).toMatch(/error: Cannot write old\.ivit: its \d+ bytes are more than the file system, or a limit/);
    expect(status).toBe(3);
    expect(await readFile(folder.path('old.ivit'))).toEqual(await readFile(folder.path('tiny.ivit')));
    expect(await hidden()).toEqual([]);
  });

  test('a disk that fills up', async ({ skip }) => {
    const disk = folder.path('disk');
    await mkdir(disk);
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', disk]).status !== 0) return skip();
    try {
      await copyFile(folder.path('tiny.ivit'), path.join(disk, 'old.ivit'));
      const { status, stderr } = bash(`${RUN} ${QUANTIZE.join(' ')} disk/old.ivit`);
      expect(stderr).toMatch(/error: Cannot write disk\/old\.ivit: no space left for its \d+ bytes; free some/);
      expect(status).toBe(3);
      expect(await readFile(path.join(disk, 'old.ivit'))).toEqual(await readFile(folder.path('tiny.ivit')));
      expect(await folder.files('disk')).toEqual(['old.ivit']);
    } finally {
      execFileSync('umount', [disk]);
    }
  });
});

describe('folders', () => {
  test('an output folder that may not be written, for a user other than root', async ({ skip }) => {
    const other = isRoot ? { uid: 65534, gid: 65534 } : {};
    const options = { cwd: folder.path(), encoding: 'utf8', ...other } as const;
    const canRead = spawnSync(process.execPath, [EXECUTABLE, '--version'], options).status === 0;
    if (!canRead) return skip(); // the repository lies where only root may look
    await mkdir(folder.path('locked'), { mode: 0o555 });
    const { status, stderr } = spawnSync(process.execPath, [EXECUTABLE, ...QUANTIZE, 'locked/x.ivit'], options);
    await chmod(folder.path('locked'), 0o755);
    expect(messagesOf(stderr)).toBe(
      'error: Cannot write locked/x.ivit: no permission to write in locked; choose another place\n',
    );
    expect(status).toBe(3);
    expect(await folder.files('locked')).toEqual([]);
  });

  test
    .skipIf(!hasBash)
    .each<Record<string, string>>([{}, { HOME: '/nowhere', TMPDIR: '/nowhere' }, { HOME: '/proc', TMPDIR: '/proc' }])(
    'an environment with nothing but %o',
    async (environment) => {
      const env = { NODE: process.execPath, IVIT: EXECUTABLE, ...environment };
      const made = bash(`${RUN} ${QUANTIZE.join(' ')} bare.ivit`, env);
      expect(made.stderr).not.toContain('error');
      expect(made.status).toBe(0);
      expect(bash(`${RUN} infer -m bare.ivit photos`, env).status).toBe(0);
      expect(bash(`${RUN} doctor`, env).status).toBe(0);
    },
  );
});

describe('signals', () => {
  /** Runs a command, and sends it a signal after some time. */
  const interrupted = (args: readonly string[], signal: NodeJS.Signals, ms: number) =>
    new Promise<number | null>((resolve) => {
      const child = spawn(process.execPath, [EXECUTABLE, ...args], { cwd: folder.path(), stdio: 'ignore' });
      const timer = setTimeout(() => child.kill(signal), ms);
      child.on('close', (code) => {
        clearTimeout(timer);
        resolve(code);
      });
    });

  const EVAL = ['eval', '-m', 'tiny.ivit', '--dataset', 'list.txt', '--predictions'];
  test.each([
    ['quantize', 'SIGINT', 130],
    ['quantize', 'SIGTERM', 143],
    ['eval', 'SIGINT', 130],
    ['eval', 'SIGTERM', 143],
  ] as const)('%s and %s: the old output, or the whole new one', async (command, signal, code) => {
    for (const ms of [300, 500, 700, 1000]) {
      const output = folder.path(command === 'eval' ? 'p.csv' : 'q.ivit');
      if (command === 'eval') await ivit([...EVAL.with(4, 'short.txt'), 'p.csv'], { cwd: folder.path() });
      else await saveTinyModel(output);
      const old = await readFile(output);
      const args = command === 'eval' ? [...EVAL, 'p.csv'] : [...QUANTIZE, 'q.ivit', '--num-images', '3'];
      const ended = await interrupted(args, signal, ms);
      expect([code, 0, null]).toContain(ended); // null: Node had not started yet
      const now = await readFile(output);
      if (ended === code) expect(now).toEqual(old);
      else if (ended === 0 && command === 'quantize') await loadModel(output);
      expect(await hidden()).toEqual([]);
    }
  });
});

test('a model that changes while it is read is one of its contents, or refused', async () => {
  const contents = [1, 2].map((seed) => encodeModel(tinyModel(tinyProgram(seed)), sha256));
  const file = folder.path('changing.ivit');
  await writeFile(file, contents[0]);
  let running = true;
  const change = async () => {
    for (let i = 0; running; i++) {
      const bytes = contents[i % 2];
      if (i % 3 === 0) {
        await writeFile(`${file}.new`, bytes);
        await rename(`${file}.new`, file);
      } else {
        await writeFile(file, bytes); // in place: emptied, then filled
      }
    }
  };
  const changing = change();
  let loaded = 0;
  for (let i = 0; i < 400; i++) {
    try {
      const { program } = await loadModel(file);
      expect(program.ops).toHaveLength(tinyProgram().ops.length);
      loaded++;
    } catch (error) {
      expect(error).toBeInstanceOf(InputError);
    }
  }
  running = false;
  await changing;
  expect(loaded).toBeGreaterThan(0);
});

test('memory that is refused', async () => {
  const { code, stderr } = await ivit(['infer', '-m', 'tiny.ivit', 'photos', '--max-memory', '1k'], {
    cwd: folder.path(),
  });
  expect(stderr).toMatch(/^error: .*bytes of memory beyond its weights, more than the 1024 allowed/);
  expect(code).toBe(3);
});
