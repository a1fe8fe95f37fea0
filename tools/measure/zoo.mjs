// npm run zoo: quantizes every model of fixtures/zoo and fixtures/zoo2, and writes docs/zoo.md and docs/zoo2.md.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { status } = spawnSync(
  process.execPath,
  ['node_modules/vitest/vitest.mjs', 'run', 'test/quantize/zoo.test.ts', 'test/quantize/zoo2.test.ts'],
  {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, IVIT_ZOO_TABLE: 'docs/zoo.md', IVIT_ZOO2_TABLE: 'docs/zoo2.md' },
  },
);
process.exit(status ?? 1);
