/**
 * Builds and runs compare.c: every instruction set of this machine against plain C, AMX with tiles for the smallest
 * layers, too, AVX-512 VNNI in either order of work (avx512_linear.c), AVX-VNNI in the encoding of AVX-512 where the
 * machine has that alone, and the ARM kernels, cross-compiled, in an emulator where both tools are installed (Debian:
 * apt-get install gcc-aarch64-linux-gnu qemu-user).
 *
 *   node native/test/compare.mjs [rounds] [cases] [--sanitize]
 *
 * Each primitive is compared on as many ops as there are rounds, and until so many elements of results are the same.
 *
 * With --sanitize all of it is compiled with AddressSanitizer and UndefinedBehaviorSanitizer, where the compiler has
 * them; what runs in an emulator with the latter alone.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const native = path.resolve(import.meta.dirname, '..');
const [rounds = '300', cases = '0'] = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
const sanitize = (names) =>
  process.argv.includes('--sanitize') ? ['-g', `-fsanitize=${names}`, '-fno-sanitize-recover=all'] : [];
const sanitizers = sanitize('address,undefined');
// arm_neon.h of GCC writes additions, which wrap, as those of int.
const emulated = [
  ...sanitize('undefined'),
  ...(sanitizers.length > 0 ? ['-fno-sanitize=signed-integer-overflow'] : []),
];
const folder = mkdtempSync(path.join(tmpdir(), 'ivit-compare-'));
const sources = (sub) =>
  readdirSync(path.join(native, sub))
    .filter((name) => name.endsWith('.c'))
    .map((name) => path.join(native, sub, name));
const common = [
  ...['compare.c', 'compare_maps.c', 'compare_published.c', 'compare_random.c'].map((name) =>
    path.join(native, 'test', name),
  ),
  ...['portable.c', 'portable_maps.c', 'portable_layout.c', 'isa.c'].map((name) => path.join(native, name)),
];
let failures = 0;

function has(command) {
  return spawnSync(command, ['--version']).status === 0;
}

/** Whether a compiler has what these flags ask for. */
function compiles(compiler, flags) {
  const options = [...flags, '-x', 'c', '-', '-o', path.join(folder, 'empty')];
  return spawnSync(compiler, options, { input: 'int main(void) { return 0; }' }).status === 0;
}

function build(compiler, flags, files, name) {
  const target = path.join(folder, name);
  const result = spawnSync(compiler, ['-std=gnu11', '-O1', ...flags, ...common, ...files, '-o', target], {
    encoding: 'utf8',
  });
  if (result.status === 0) return target;
  process.stdout.write(`${name}: does not compile\n${result.stderr}`);
  failures++;
  return null;
}

/** Runs one instruction set; those that the machine lacks say so. */
function compare(command, isa) {
  if (command.includes(null)) return;
  const [program, ...args] = command;
  const { status, signal, stdout, stderr } = spawnSync(program, [...args, isa, rounds, cases], { encoding: 'utf8' });
  process.stdout.write(status === 2 ? `${isa}: not on this machine\n` : stdout);
  if (sanitizers.length > 0) process.stdout.write(stderr);
  if (signal !== null) process.stdout.write(`${isa}: ended by ${signal}\n`);
  if (status !== 0 && status !== 2) failures++;
}

try {
  const compiler = process.env.CC ?? 'cc';
  if (!has(compiler)) {
    process.stdout.write('no C compiler: nothing compared\n');
  } else if (sanitizers.length > 0 && !compiles(compiler, sanitizers)) {
    process.stdout.write(`${compiler} has no sanitizers: nothing compared\n`);
  } else {
    const own = { x64: 'x86', arm64: 'arm' }[process.arch];
    const program = build(compiler, sanitizers, own === undefined ? [] : sources(own), 'compare');
    for (const isa of own === 'x86' ? ['amx', 'avx512vnni', 'avxvnni', 'avx2'] : own === 'arm' ? ['neon-dot'] : [])
      compare([program], isa);
    if (own === 'x86') {
      const other = ['-DAMX_LEAST_WORK=0', '-DFINISH_APART=!__builtin_cpu_is("intel")'];
      const otherwise = build(compiler, [...sanitizers, ...other], sources(own), 'compare-otherwise');
      for (const isa of ['amx', 'avx512vnni']) compare([otherwise], isa);
      compare([build(compiler, [...sanitizers, '-DVNNI_ENCODING=""'], sources(own), 'compare-vnni')], 'avxvnni');
    }
  }
  const cross = ['aarch64-linux-gnu-gcc', 'qemu-aarch64'];
  if (process.arch !== 'arm64' && cross.every(has)) {
    compare(
      [cross[1], '-cpu', 'max', build(cross[0], ['-static', ...emulated], sources('arm'), 'compare-arm')],
      'neon-dot',
    );
  } else if (process.arch !== 'arm64') {
    process.stdout.write(`neon-dot: needs ${cross.join(' and ')}\n`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failures === 0 ? 0 : 1;
