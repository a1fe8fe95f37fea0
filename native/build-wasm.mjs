/**
 * Compiles the C kernels to dist/ivit.wasm, and with relaxed SIMD to dist/ivit-relaxed.wasm, and the quantizer's
 * numerics to dist/quantizer.wasm, with clang and wasm-ld as
 * they come in the npm package @yowasp/clang: no system toolchain is needed. Does nothing where the results are newer
 * than every source.
 */
import { mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, '..', 'dist');

const filesOf = (folders) =>
  folders.flatMap((folder) =>
    readdirSync(join(here, folder))
      .filter((name) => /\.[ch]$/.test(name))
      .map((name) => join(folder, name)),
  );
const kernels = filesOf(['.', 'program', 'wasm', 'lanes']);
const numerics = filesOf(['quantizer']);

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
];
const exports = exported.map((name) => `-Wl,--export=${name}`);

/** What is built below dist/, each from its own sources with its own flags. */
const targets = {
  'ivit.wasm': { files: kernels, flags: exports },
  'ivit-relaxed.wasm': { files: kernels, flags: [...exports, '-mrelaxed-simd'] },
  // Nothing may be fused or reordered: weights would depend on it.
  'quantizer.wasm': { files: numerics, flags: ['-ffp-contract=off'] },
};

function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? -Infinity;
}

/** The sources as the compiler's file system has them. */
function readTree(files) {
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
  const outdated = Object.entries(targets).filter(([name, { files }]) => {
    const sources = [...files.map((file) => join(here, file)), fileURLToPath(import.meta.url)];
    return modified(join(dist, name)) <= Math.max(...sources.map(modified));
  });
  if (outdated.length === 0) return;

  const { runClang, runLLVM } = await import('@yowasp/clang');
  await runLLVM(null, {}, { fetchProgress: () => undefined }); // loads the compiler without a word
  mkdirSync(dist, { recursive: true });
  for (const [name, { files, flags: own }] of outdated) {
    const units = files.filter((file) => file.endsWith('.c'));
    const target = join(dist, name);
    const temporary = `${target}.${process.pid}`;
    writeFileSync(temporary, await compile(runClang, [...flags, ...own, '-I.', ...units], readTree(files)));
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
