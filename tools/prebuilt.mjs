/**
 * Makes the package of prebuilt native kernels of this platform: npm/@ivit-native/linux-x64 and the like, to be
 * published beside ivit in the same version. docs/releasing.md says when. An add-on loads on systems whose C library is
 * at least as new as the one it was compiled with: run this on the oldest that is to be served.
 *
 *   node tools/prebuilt.mjs [--out npm]
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildAddon } from '../native/build-addon.mjs';
import { root } from './prepare.mjs';

const { values } = parseArgs({ options: { out: { type: 'string', default: join(root, 'npm') } } });

const failure = await buildAddon({ verbose: true });
if (failure !== null) {
  process.stderr.write(`The native kernels were not built: ${failure}\n`);
  process.exit(1);
}
const { prebuiltPackage } = await import('../dist/engine/load.js');
const name = prebuiltPackage();
const { version, license, repository, author, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const folder = join(resolve(values.out), name);
mkdirSync(folder, { recursive: true });
copyFileSync(join(root, 'native/build/Release/ivit.node'), join(folder, 'ivit.node'));
copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
const manifest = {
  name,
  version,
  description: `Native kernels of ivit for ${process.platform} ${process.arch}`,
  license,
  author,
  repository,
  engines,
  os: [process.platform],
  cpu: [process.arch],
  ...(process.platform === 'linux' ? { libc: [name.endsWith('-musl') ? 'musl' : 'glibc'] } : {}),
  main: 'ivit.node',
  files: ['ivit.node'],
  preferUnplugged: true,
};
writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
writeFileSync(
  join(folder, 'README.md'),
  `# ${name}\n\nNative kernels of [ivit](https://www.npmjs.com/package/ivit), which loads them by itself.\n`,
);
process.stdout.write(`${folder}\n`);
