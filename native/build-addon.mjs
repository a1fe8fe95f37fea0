/**
 * Compiles the Node add-on where a C compiler is at hand. Where it is not, or the build fails, says so in one line and
 * leaves the WebAssembly kernels to do the work: never an error. Does nothing where the result is newer than every
 * source. With --verbose the compiler's messages are shown.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, 'build', 'Release', 'ivit.node');

function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? -Infinity;
}

function isUpToDate() {
  const sources = ['.', 'node', 'lanes', 'x86', 'arm'].flatMap((folder) =>
    statSync(join(here, folder), { throwIfNoEntry: false }) === undefined
      ? []
      : readdirSync(join(here, folder))
          .filter((name) => /\.([ch]|gyp)$/.test(name))
          .map((name) => join(here, folder, name)),
  );
  return modified(target) > Math.max(...sources.map(modified));
}

/** npm tells lifecycle scripts where its own node-gyp is. */
function nodeGyp() {
  if (process.env.npm_config_node_gyp) return process.env.npm_config_node_gyp;
  try {
    return createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
  } catch {
    return null;
  }
}

/** The headers beside the running Node, where it was installed with them: nothing to download then. */
function ownHeaders() {
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  return existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? ['--nodedir', prefix] : [];
}

function build() {
  if (isUpToDate()) return;
  const gyp = nodeGyp();
  if (gyp === null) return report('node-gyp is not installed');
  const options = ['--directory', here, ...ownHeaders()];
  const result = spawnSync(process.execPath, [gyp, 'configure', 'build', ...options], { encoding: 'utf8' });
  if (process.argv.includes('--verbose')) process.stderr.write(`${result.stdout}${result.stderr}`);
  if (result.status !== 0) report('it did not compile; node native/build-addon.mjs --verbose shows why');
}

function report(reason) {
  process.stderr.write(`The native kernels were not built (${reason}). The WebAssembly kernels run in their place.\n`);
}

build();
