/**
 * Compiles the C kernels to dist/ivit.wasm, and with relaxed SIMD to dist/ivit-relaxed.wasm, with clang and wasm-ld as
 * they come in the npm package @yowasp/clang: no system toolchain is needed. Does nothing where the results are newer
 * than every source.
 */
import { mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, '..', 'dist');

/** What is built below dist/, each with its own flags. */
const targets = { 'ivit.wasm': [], 'ivit-relaxed.wasm': ['-mrelaxed-simd'] };

const folders = ['.', 'program', 'wasm', 'lanes'];
const files = folders.flatMap((folder) =>
  readdirSync(join(here, folder))
    .filter((name) => /\.[ch]$/.test(name))
    .map((name) => join(folder, name)),
);

/** What the engine calls, as native/generated.h lists it; everything else is internal. */
const exported = [...readFileSync(join(here, 'generated.h'), 'utf8').matchAll(/^ {2}X\((\w+)\)/gm)].map(
  ([, name]) => name,
);

const flags = [
  '--target=wasm32',
  '-std=c11',
  '-O3',
  '-msimd128',
  '-mbulk-memory',
  '-ffreestanding',
  // Strength reduction would compute every address of the GEMM's loop apart; loads take constant offsets for free.
  '-mllvm',
  '-disable-lsr',
  '-fno-math-errno',
  '-nostdlib',
  '-Wall',
  '-Wextra',
  '-Wl,--no-entry',
  '-Wl,--strip-all',
  '-Wl,-z,stack-size=65536',
  '-Wl,--initial-memory=1048576',
  ...exported.map((name) => `-Wl,--export=${name}`),
];

function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? -Infinity;
}

/** The sources as the compiler's file system has them. */
function readTree() {
  const tree = {};
  for (const file of files) {
    const folder = dirname(file);
    const within = folder === '.' ? tree : (tree[folder] ??= {});
    within[basename(file)] = readFileSync(join(here, file), 'utf8');
  }
  return tree;
}

/** Builds the modules unless they are up to date. */
export async function buildWasm() {
  const sources = [...files.map((file) => join(here, file)), fileURLToPath(import.meta.url)];
  const newest = Math.max(...sources.map(modified));
  const outdated = Object.keys(targets).filter((name) => modified(join(dist, name)) <= newest);
  if (outdated.length === 0) return;

  const { runClang, runLLVM } = await import('@yowasp/clang');
  await runLLVM(null, {}, { fetchProgress: () => undefined }); // loads the compiler without a word
  const tree = readTree();
  const units = files.filter((file) => file.endsWith('.c'));
  mkdirSync(dist, { recursive: true });
  for (const name of outdated) {
    const target = join(dist, name);
    const temporary = `${target}.${process.pid}`;
    writeFileSync(temporary, await compile(runClang, [...flags, ...targets[name], '-I.', ...units], tree));
    renameSync(temporary, target);
  }
}

async function compile(runClang, options, tree) {
  const decoder = new TextDecoder();
  let messages = '';
  const stderr = (bytes) => (messages += bytes ? decoder.decode(bytes) : '');
  let output;
  try {
    output = await runClang(['clang', ...options, '-o', 'out.wasm'], tree, { stderr });
  } catch {
    throw new Error(`The WebAssembly kernels do not compile:\n${messages}`);
  }
  if (messages !== '') process.stderr.write(messages);
  return output['out.wasm'];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildWasm();
