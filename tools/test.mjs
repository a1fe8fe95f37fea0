/**
 * `npm test`: installs and builds where needed, then runs the tests. Arguments go to vitest; with `--project unit`
 * nothing is built, as those tests run on the TypeScript alone.
 */
import { join } from 'node:path';
import { install, prepare, root, run } from './prepare.mjs';

const options = process.argv.slice(2);
const unitOnly = options.join(' ').includes('--project unit');
if (unitOnly) install();
else prepare();
run(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...options]);
