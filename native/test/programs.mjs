/**
 * Builds and runs programs.c on the files of a folder, with AddressSanitizer and UndefinedBehaviorSanitizer, then with
 * ThreadSanitizer, as far as the compiler has them; without any where it has none.
 *
 *   node native/test/programs.mjs FOLDER [--first]
 *
 * With --first only the first of these that the compiler has is run.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const native = path.resolve(import.meta.dirname, '..');
const [folder] = process.argv.slice(2);
const files = readdirSync(folder).map((name) => path.join(folder, name));
const compiler = process.env.CC ?? 'cc';
const made = mkdtempSync(path.join(tmpdir(), 'ivit-programs-'));
const sourcesIn = (sub) =>
  readdirSync(path.join(native, sub))
    .filter((name) => name.endsWith('.c'))
    .map((name) => path.join(native, sub, name));
const own = { x64: 'x86', arm64: 'arm' }[process.arch];
const sources = [
  ...['test/programs.c', 'node/memory.c', 'isa.c'].map((name) => path.join(native, name)),
  ...sourcesIn('.').filter((name) => path.basename(name).startsWith('portable')),
  ...sourcesIn('program'),
  ...(own === undefined ? [] : sourcesIn(own)),
];

const VARIANTS = [
  { name: 'address, undefined', flags: ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'], threads: [1, 3] },
  { name: 'thread', flags: ['-fsanitize=thread'], threads: [3] },
];

/** @returns the status of each run, none of them where it does not compile */
function tryVariant({ name, flags, threads }) {
  const program = path.join(made, 'programs');
  const options = ['-std=gnu11', '-g', '-O1', '-pthread', ...flags, ...sources, '-o', program];
  const { status, stderr } = spawnSync(compiler, options, { encoding: 'utf8' });
  if (status !== 0) {
    process.stdout.write(`${name}: not built\n${flags.length === 0 ? stderr : ''}`);
    return [];
  }
  return threads.map((count) => {
    const run = spawnSync(program, [String(count), ...files], { encoding: 'utf8', maxBuffer: 2 ** 26 });
    process.stdout.write(`${name || 'no sanitizer'}: ${run.stdout}${run.stderr}`);
    return run.status;
  });
}

try {
  let ends = [];
  for (const variant of VARIANTS)
    if (ends.length === 0 || !process.argv.includes('--first')) ends.push(...tryVariant(variant));
  if (ends.length === 0) ends = tryVariant({ name: '', flags: [], threads: [1, 3] });
  process.exitCode = ends.length > 0 && ends.every((status) => status === 0) ? 0 : 1;
} finally {
  rmSync(made, { recursive: true, force: true });
}
