/**
 * `npm run build`: dist/ from the sources, and the kernels in C. Nothing of an earlier build is left but the kernels.
 */
import { copyFileSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { install, root, run } from './prepare.mjs';

const dist = join(root, 'dist');
const node = (...args) => run(process.execPath, args);

install();
for (const name of existsSync(dist) ? readdirSync(dist) : [])
  if (!name.endsWith('.wasm')) rmSync(join(dist, name), { recursive: true });
node('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json');
node('node_modules/typescript/bin/tsc', '-p', 'src/page');
node('node_modules/rolldown/bin/cli.mjs', '-c', '--logLevel', 'warn');
node('native/build-wasm.mjs');
node('native/build-addon.mjs');
// The browser's files lie together, so that a page can be given the folder; few hold all of the code.
for (const name of ['ivit.wasm', 'ivit-relaxed.wasm']) copyFileSync(join(dist, name), join(dist, 'web', name));
for (const name of ['index.html', 'page.css']) copyFileSync(join(root, 'src/page', name), join(dist, 'web', name));
for (const name of readdirSync(join(dist, 'web')))
  if (name.endsWith('.js') && !/^(index|worker|decode|codec-\w+|page|page-decoder)\.js$/.test(name))
    rmSync(join(dist, 'web', name));
