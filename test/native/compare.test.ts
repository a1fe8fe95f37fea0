import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';

const SCRIPT = path.resolve(import.meta.dirname, '../../native/test/compare.mjs');
const hasCompiler = spawnSync(process.env['CC'] ?? 'cc', ['--version']).status === 0;

test.skipIf(!hasCompiler)('every instruction set computes what plain C computes', () => {
  const { status, stdout } = spawnSync(process.execPath, [SCRIPT, '40'], { encoding: 'utf8' });
  expect({ status, stdout }).toEqual({
    status: 0,
    stdout: expect.stringMatching(/: 22 primitives, at least \d{4,} cases each, 0 differences/),
  });
});
