/**
 * Compiles the Node add-on with the C compiler at hand ($CC, cc, gcc or clang). The headers of Node-API come from the
 * package node-api-headers, so that nothing is downloaded and nothing else is needed. Node-API is the same in every
 * version of Node: the add-on need not be compiled again for another one.
 *
 *   node native/build-addon.mjs [--verbose]
 *
 * Does nothing where the result is newer than every source. Where there is no compiler, or the compiler fails, it says
 * so in one line and ends with 0: the WebAssembly kernels do the work then. `ivit build-native` does the same, and
 * fails.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const build = join(here, 'build');
const target = join(build, 'Release', 'ivit.node');

/** Folders whose C files are part of the add-on, besides those of this machine's architecture. */
const COMMON = ['.', 'program', 'packing', 'node', 'float'];
const ARCHITECTURES = { x64: ['x86'], arm64: ['arm'] };
/** Folders of headers alone. */
const HEADERS = ['lanes'];

const FLAGS = ['-std=gnu11', '-O3', '-fPIC', '-pthread', '-DNODE_GYP_MODULE_NAME=ivit'];
/** Floats, of native/float/ alone: each operation is rounded by itself, and roots need no library. */
const FLOAT_FLAGS = ['-DIVIT_FLOAT', '-ffp-contract=off', '-fno-math-errno'];
const LINK_FLAGS =
  process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared', '-pthread'];

function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? -Infinity;
}

function filesOf(folders, pattern) {
  return folders.flatMap((folder) =>
    statSync(join(here, folder), { throwIfNoEntry: false }) === undefined
      ? []
      : readdirSync(join(here, folder))
          .filter((name) => pattern.test(name))
          .map((name) => join(here, folder, name)),
  );
}

const own = [...COMMON, ...(ARCHITECTURES[process.arch] ?? [])];

function isUpToDate() {
  const sources = [fileURLToPath(import.meta.url), ...filesOf([...own, ...HEADERS], /\.[ch]$/)];
  return modified(target) > Math.max(...sources.map(modified));
}

/** @returns the command of the C compiler, or null where there is none */
export function findCompiler() {
  if (process.platform === 'win32') return null; // The sources are for GCC and Clang.
  const candidates = process.env.CC ? [process.env.CC] : ['cc', 'gcc', 'clang'];
  return candidates.find((command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0) ?? null;
}

/** @returns null, or why a compiler's run failed: its first error */
function compile(compiler, options, verbose) {
  return new Promise((resolve) => {
    const child = spawn(compiler, options, { cwd: here, stdio: ['ignore', verbose ? 'inherit' : 'ignore', 'pipe'] });
    let messages = '';
    child.stderr.on('data', (bytes) => {
      messages += bytes;
      if (verbose) process.stderr.write(bytes);
    });
    child.on('error', (error) => resolve(error.message));
    child.on('close', (status, signal) => {
      const lines = messages.trim().split('\n');
      if (status === 0) resolve(null);
      else
        resolve(
          lines.find((line) => /error/i.test(line)) ?? (lines.at(-1) || `${compiler} ended with ${status ?? signal}`),
        );
    });
  });
}

async function compileAll(compiler, folder, verbose) {
  const { default: headers } = await import('node-api-headers');
  const sources = filesOf(own, /\.c$/);
  const objects = sources.map((source, i) => join(folder, `${i}-${basename(source, '.c')}.o`));
  const failures = [];
  let next = 0;
  const work = async () => {
    while (next < sources.length && failures.length === 0) {
      const i = next++;
      const failure = await compile(
        compiler,
        [...FLAGS, ...FLOAT_FLAGS, '-I', headers.include_dir, '-c', sources[i], '-o', objects[i]],
        verbose,
      );
      if (failure !== null) failures.push(failure);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  if (failures.length > 0) return failures[0];
  return compile(compiler, [...LINK_FLAGS, ...objects, '-o', join(folder, 'ivit.node')], verbose);
}

/**
 * Compiles the add-on unless it is up to date. The result appears at once and whole, so that several processes may do
 * this at a time.
 *
 * @returns null where it is there now, else why not, in a few words
 */
export async function buildAddon({ verbose = false } = {}) {
  if (isUpToDate()) return null;
  if (process.platform === 'win32') return 'the kernels in C do not compile on Windows';
  const compiler = findCompiler();
  if (compiler === null) return process.env.CC ? `$CC (${process.env.CC}) does not run` : 'no C compiler was found';
  let folder;
  try {
    mkdirSync(dirname(target), { recursive: true });
    folder = mkdtempSync(join(build, 'compiling-'));
    const failure = await compileAll(compiler, folder, verbose);
    if (failure !== null) return `${compiler} failed: ${failure}`;
    renameSync(join(folder, 'ivit.node'), target);
    return null;
  } catch (error) {
    return error.message;
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const failure = await buildAddon({ verbose: process.argv.includes('--verbose') });
  if (failure !== null)
    process.stderr.write(
      `The native kernels were not built (${failure}). The WebAssembly kernels run in their place.\n`,
    );
}
