/**
 * Compiles the C kernels to dist/ivit.wasm, with clang and wasm-ld as they come in the npm package @yowasp/clang: no
 * system toolchain is needed. Does nothing where the result is newer than every source.
 */
import { mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, '..', 'dist', 'ivit.wasm');

const folders = ['.', 'wasm'];
const files = folders.flatMap((folder) =>
  readdirSync(join(here, folder))
    .filter((name) => /\.[ch]$/.test(name))
    .map((name) => join(folder, name)),
);

/** What the engine calls; everything else is internal. */
const exported = [
  'ivit_allocate',
  'ivit_default_isa',
  'ivit_isa_name',
  'ivit_tile_rows',
  'ivit_tile_cols',
  'ivit_program_create',
  'ivit_program_step',
  'ivit_program_layout',
  'ivit_context_create',
  'ivit_context_data',
  'ivit_context_scale',
  'ivit_context_profile',
  'ivit_context_begin',
  'ivit_context_run',
];

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

/** Builds the module unless it is up to date. */
export async function buildWasm() {
  const sources = [...files.map((file) => join(here, file)), fileURLToPath(import.meta.url)];
  if (modified(target) > Math.max(...sources.map(modified))) return;

  const { runClang, runLLVM } = await import('@yowasp/clang');
  await runLLVM(null, {}, { fetchProgress: () => undefined }); // loads the compiler without a word
  const tree = { wasm: {} };
  for (const file of files) {
    const text = readFileSync(join(here, file), 'utf8');
    if (file.startsWith('wasm')) tree.wasm[file.slice(5)] = text;
    else tree[file] = text;
  }
  const units = files.filter((file) => file.endsWith('.c'));
  const decoder = new TextDecoder();
  let messages = '';
  const stderr = (bytes) => (messages += bytes ? decoder.decode(bytes) : '');
  let output;
  try {
    output = await runClang(['clang', ...flags, '-I.', ...units, '-o', 'ivit.wasm'], tree, {
      stderr,
    });
  } catch {
    throw new Error(`The WebAssembly kernels do not compile:\n${messages}`);
  }
  if (messages !== '') process.stderr.write(messages);
  mkdirSync(dirname(target), { recursive: true });
  const temporary = `${target}.${process.pid}`;
  writeFileSync(temporary, output['ivit.wasm']);
  renameSync(temporary, target);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildWasm();
