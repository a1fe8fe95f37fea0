import { beforeAll, describe, expect, test } from 'vitest';
import { saveModel } from '../../src/program/file.js';
import { tinyModel } from '../program/tiny.js';
import { ivit, savePhoto, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();
/** Control characters, those that turn the direction, and those that take no place, one of two 16-bit units. */
const EVIL = 'cat\u001b[2J\n  99.9 %  dog (1)\u009b31m\u202e c\u200ba\ufefft\u200d \u{e0041}';
/** A joiner that joins: Persian. */
const JOINED = 'می\u200cشود';

beforeAll(async () => {
  await saveModel(folder.path('evil.ivit'), { ...tinyModel(), labels: [EVIL, `${EVIL}2`, `${EVIL}3 ${JOINED}`] });
  await savePhoto(folder.path('a\u001b[31m.png'), 1, 16);
});

describe('control characters of labels and file names do not reach the terminal', () => {
  test.each<[string, string[]]>([
    ['infer', ['infer', '-m', 'evil.ivit', 'a\u001b[31m.png']],
    ['infer --json', ['infer', '-m', 'evil.ivit', 'a\u001b[31m.png', '--json']],
    ['inspect', ['inspect', 'evil.ivit']],
    ['inspect --json', ['inspect', 'evil.ivit', '--json']],
    ['an error', ['infer', '-m', 'evil.ivit', 'absent\u001b[31m\u202e.png']],
    ['an error of a dataset', ['eval', '-m', 'evil.ivit', '--dataset', 'absent\u009b31m\nerror: x']],
  ])('%s', async (_, args) => {
    const { stdout, stderr } = await ivit(args, { cwd: folder.path() });
    expect(stdout + stderr).toMatch(/cat|absent/);

    expect(stdout + stderr).not.toMatch(/[\0-\x09\x0b-\x1f\x7f-\x9f\u200b\u200d\u202a-\u202e\ufeff]|\udb40/);
    expect(stdout + stderr).not.toMatch(/^ +99\.9 % +dog|^error: x/m);
    if (args.includes('--json') && args[0] === 'inspect') {
      expect(JSON.parse(stdout).labels[0]).toBe(EVIL);
      expect(stdout).toContain(JOINED);
    }
  });
});
