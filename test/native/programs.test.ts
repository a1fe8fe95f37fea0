import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';
import { writeProgramFiles } from '../../tools/fuzz/program-files.js';
import { temporaryFolder } from '../cli/ivit.js';
import { NATIVE } from '../engine/backends.js';

const SCRIPT = path.resolve(import.meta.dirname, '../../native/test/programs.mjs');
const hasCompiler = spawnSync(process.env['CC'] ?? 'cc', ['--version']).status === 0;
const folder = temporaryFolder();

test.skipIf(!hasCompiler || NATIVE === null)(
  'whole programs at their extremes give what the reference gives, under the sanitizers that the compiler has',
  async () => {
    await writeProgramFiles(folder.path('programs'), 30, 1);
    const { status, stdout } = spawnSync(process.execPath, [SCRIPT, folder.path('programs'), '--first'], {
      encoding: 'utf8',
    });
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: expect.stringMatching(/: \d{2,} programs on 3 threads, 0 differences, 0 for instruction sets/),
    });
  },
);
