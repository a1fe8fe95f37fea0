/**
 * Random whole programs under sanitizers: native/test/programs.mjs. `npm run test:sanitizers` runs it.
 *
 *   node node_modules/.cache/ivit-fuzz/tools/fuzz/sanitized.js [programs] [seed]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { packageFile } from '../../src/package-root.js';
import { writeProgramFiles } from './program-files.js';

const [count = '300', seed = '1'] = process.argv.slice(2);
const folder = mkdtempSync(path.join(tmpdir(), 'ivit-program-files-'));
try {
  await writeProgramFiles(folder, Number(count), Number(seed));
  const args = [packageFile('native/test/programs.mjs'), folder];
  process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
