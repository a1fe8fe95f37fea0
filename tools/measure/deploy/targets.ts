/** Machines that exported C is built for and run on: natively or emulated by qemu. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface Machine {
  readonly name: string;
  /** In front of `gcc`, `size`, `objdump`. */
  readonly prefix: string;
  readonly compiler: string;
  readonly emulator: string | null;
  readonly isBigEndian?: true;
  /** What the processor at hand has to have, as Linux calls it. */
  readonly needs?: string;
  /** What compiles the test and links it; left out: the compiler. */
  readonly linker?: { readonly command: string; readonly flags: readonly string[] };
  /** How its linker finds a C library for the test; left out: by itself. */
  readonly specs?: string;
  /** Of the exported files: no float unit where there is a choice. */
  readonly flags: readonly string[];
  /** Further arguments to link the test, whose folder they may write to. */
  readonly link: (folder: string) => readonly string[];
  /** The command that runs `test.elf`. */
  readonly run: readonly string[];
  /** Of the disassembly: what only instructions on floats, or their registers, match. */
  readonly floats: RegExp;
}

const SOURCES = path
  .resolve(import.meta.dirname, '../../../tools/measure/deploy')
  .replace(/node_modules.*tools/, 'tools');

interface Region {
  readonly at: number;
  readonly bytes: number;
}

/** What the linker of a board may place where; the weights of large models fit no region beside the code. */
interface Board {
  readonly name: string;
  readonly ram: Region;
  readonly weights: Region;
}

function cortexScript({ ram, weights }: Board): string {
  return `ENTRY(reset)
MEMORY {
  CODE (rx) : ORIGIN = 0, LENGTH = 512K
  RAM (rw) : ORIGIN = ${ram.at}, LENGTH = ${ram.bytes}
  FLASH (r) : ORIGIN = ${weights.at}, LENGTH = ${weights.bytes}
}
SECTIONS {
  .vectors : { KEEP(*(.vectors)) } > CODE
  .weights : { *_weights.o(.rodata* .ivit_weights*) } > FLASH
  .text : { *(.text* .rodata* .init .fini .ARM.extab*) } > CODE
  .ARM.exidx : { *(.ARM.exidx*) } > CODE
  .init_array : {
    __preinit_array_start = .; KEEP(*(.preinit_array)) __preinit_array_end = .;
    __init_array_start = .; KEEP(*(.init_array*)) __init_array_end = .;
    __fini_array_start = .; KEEP(*(.fini_array*)) __fini_array_end = .;
  } > CODE
  .data : { *(.data*) } > RAM
  .bss : { . = ALIGN(8); bss_begin = .; *(.bss* COMMON) . = ALIGN(8); bss_end = .; } > RAM
  end = .;
  stack_top = ORIGIN(RAM) + LENGTH(RAM);
}
`;
}

const SEMIHOSTING = ['-semihosting-config', 'enable=on,target=native'];
const QUIET = ['-nographic', '-monitor', 'none', '-serial', 'none'];

function cortex(name: string, cpu: string, board: Board, abi = 'soft'): Machine {
  const flags = [`-mcpu=${cpu}`, '-mthumb', `-mfloat-abi=${abi}`];
  return {
    name,
    ...{ prefix: 'arm-none-eabi-', compiler: 'arm-none-eabi-gcc', emulator: 'qemu-system-arm', flags },
    specs: 'rdimon.specs',
    link(folder) {
      writeFileSync(path.join(folder, 'cortex-m.ld'), cortexScript(board));
      const start = path.join(SOURCES, 'cortex-m.c');
      return ['-nostartfiles', '-Wl,--no-warn-rwx-segments', '-T', 'cortex-m.ld', start];
    },
    run: ['qemu-system-arm', '-M', board.name, ...QUIET, ...SEMIHOSTING, '-kernel', 'test.elf'],
    // Of the float unit; without Helium, whose integers a soft ABI has no registers for, all of its names.
    floats: abi === 'soft' ? /^v/ : /^v\S*\.[bf]f?(16|32|64)/,
  };
}

function riscv(arch: string, abi: string, bits: 32 | 64): Machine {
  const emulator = `qemu-system-riscv${bits}`;
  const memory = { __flash: 0x80000000, __flash_size: 0x2000000, __ram: 0x82000000, __ram_size: 0x2000000 };
  const symbols = Object.entries({ ...memory, __stack_size: 0x10000 });
  return {
    name: arch,
    ...{ prefix: 'riscv64-unknown-elf-', compiler: 'riscv64-unknown-elf-gcc', emulator },
    specs: 'picolibc.specs',
    flags: [`-march=${arch}`, `-mabi=${abi}`, '-mcmodel=medany'],
    link: () => [
      ...['--oslib=semihost', '--crt0=hosted'],
      ...symbols.map(([symbol, value]) => `-Wl,--defsym=${symbol}=${value}`),
    ],
    run: [
      emulator,
      '-M',
      'virt',
      '-cpu',
      `rv${bits},f=off,d=off`,
      '-bios',
      'none',
      ...QUIET,
      ...SEMIHOSTING,
      '-kernel',
      'test.elf',
    ],
    floats: /^(f(?!ence)|c\.f)/,
  };
}

/** The same with vectors of `length` bits, which clang alone has names for. The emulator has them with floats only. */
function riscvVectors(arch: string, extension: string, abi: string, bits: 32 | 64, length: number): Machine {
  const scalar = riscv(arch, abi, bits);
  return {
    ...scalar,
    ...{ name: `${arch}, vectors of ${length} bits`, compiler: 'clang' },
    flags: [`--target=riscv${bits}-unknown-elf`, `-march=${arch}_${extension}`, `-mabi=${abi}`, '-mcmodel=medany'],
    linker: { command: scalar.compiler, flags: scalar.flags },
    link: (folder) => [...scalar.link(folder), path.join(SOURCES, 'riscv-v.c')],
    run: scalar.run.map((word) => (word.startsWith('rv') ? `rv${bits},v=on,vext_spec=v1.0,vlen=${length}` : word)),
    floats: /^(f(?!ence)|c\.f|vm?f(?!irst))/,
  };
}

function linux(
  name: string,
  prefix: string,
  emulator: string | null,
  flags: readonly string[],
  floats: RegExp,
): Machine {
  const run = [...(emulator === null ? [] : [emulator]), './test.elf'];
  return { name, prefix, compiler: `${prefix}gcc`, emulator, flags, link: () => ['-static'], run, floats };
}

const MPS3: Board = {
  ...{ name: 'mps3-an547', ram: { at: 0x70000000, bytes: 2 ** 22 }, weights: { at: 0x60000000, bytes: 2 ** 28 } },
};

/** Arithmetic on floats; moves and logic of whole registers have names of floats too. */
const VECTOR_FLOATS =
  /^v?(add|sub|mul|div|sqrt|min|max|cmp|u?comi|cvt|round|f?n?madd|f?n?msub|hadd|dp)\S*[sp][sdh]\b|%st|^f/;

/** Without vectors. */
export const SCALAR_MACHINES: readonly Machine[] = [
  linux('x86-64', '', null, ['-mgeneral-regs-only'], /%[xyz]mm|%st|^f/),
  { ...linux('x86-64, clang', '', null, ['-mgeneral-regs-only'], /%[xyz]mm|%st|^f/), compiler: 'clang' },
  linux(
    'AArch64',
    'aarch64-linux-gnu-',
    'qemu-aarch64',
    ['-mgeneral-regs-only'],
    /^f|^(?!c?b|tb|adr).*\b[sdqv][0-9]+\b/,
  ),
  { ...linux('s390x, big-endian', 's390x-linux-gnu-', 'qemu-s390x', ['-msoft-float'], /%f[0-9]/), isBigEndian: true },
  cortex('Cortex-M4', 'cortex-m4+nofp', {
    ...{ name: 'mps2-an386', ram: { at: 0x20000000, bytes: 2 ** 22 }, weights: { at: 0x21000000, bytes: 2 ** 24 } },
  }),
  cortex('Cortex-M55', 'cortex-m55+nofp+nomve', MPS3),
  riscv('rv32imc', 'ilp32', 32),
  riscv('rv32imac', 'ilp32', 32),
  riscv('rv64imac', 'lp64', 64),
];

/** With vectors of integers. */
export const VECTOR_MACHINES: readonly Machine[] = [
  linux('x86-64, SSE2', '', null, [], VECTOR_FLOATS),
  { ...linux('x86-64, AVX2', '', null, ['-mavx2'], VECTOR_FLOATS), needs: 'avx2' },
  {
    ...linux('x86-64, AVX-512 VNNI', '', null, ['-mavx2', '-mavx512vl', '-mavx512vnni'], VECTOR_FLOATS),
    needs: 'avx512_vnni',
  },
  {
    ...linux('AArch64, dot product', 'aarch64-linux-gnu-', 'qemu-aarch64', ['-march=armv8.2-a+dotprod'], /^f(?!mov)/),
    run: ['qemu-aarch64', '-cpu', 'max', './test.elf'],
  },
  cortex('Cortex-M55, Helium', 'cortex-m55+nofp', MPS3, 'softfp'),
  riscvVectors('rv32imc', 'zve32x', 'ilp32', 32, 128),
  riscvVectors('rv64imac', 'zve64x', 'lp64', 64, 256),
];

export const MACHINES: readonly Machine[] = [...SCALAR_MACHINES, ...VECTOR_MACHINES];

/** This machine, with the checks of memory and of undefined behaviour. */
export const SANITIZED: Machine = {
  ...linux('x86-64, sanitizers', '', null, ['-fsanitize=undefined,address', '-fno-sanitize-recover=all'], /^/),
  link: () => [],
};

const CPUINFO = '/proc/cpuinfo';
const flagsOfProcessor = (): Set<string> =>
  new Set(
    existsSync(CPUINFO)
      ? readFileSync(CPUINFO, 'utf8')
          .match(/^flags.*$/m)?.[0]
          .split(' ')
      : [],
  );

/** What is not there to build for a machine, or to run it; none: it can be tested. */
export function missingTools(machine: Machine): string[] {
  const { compiler, emulator, prefix, specs, needs } = machine;
  const [linker] = linkerOf(machine);
  const runs = (tool: string, ...args: string[]): boolean => spawnSync(tool, args, { stdio: 'ignore' }).status === 0;
  const tools = new Set([
    compiler,
    linker,
    `${prefix}objdump`,
    `${prefix}nm`,
    ...(emulator === null ? [] : [emulator]),
  ]);
  const isOther = prefix === '' && process.arch !== 'x64';
  const hasLibrary = specs === undefined || runs(linker, `--specs=${specs}`, '-E', '-x', 'c', '/dev/null');
  return [
    ...(isOther ? ['an x86-64 processor'] : []),
    ...(needs === undefined || flagsOfProcessor().has(needs) ? [] : [`${needs} of the processor`]),
    ...[...tools].filter((tool) => !runs(tool, '--version')),
    ...(hasLibrary ? [] : [`C library for ${linker} (${specs})`]),
  ];
}

/** @returns what a command printed, errors too; throws where it fails */
export function runIn(folder: string, [command, ...args]: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed (${status}):\n${stdout}${stderr}`);
  return stdout + stderr;
}

export interface BuildOptions {
  /** Of the exported program. */
  readonly name: string;
  readonly optimize: string;
  /** It prints the digests of the images in `pixels.bin` in place of its own. */
  readonly withPixels?: boolean;
  /** It prints instructions in place of digests: count.c. */
  readonly counts?: boolean;
}

export const REQUIRED = ['-std=c99', '-ffreestanding', '-fno-strict-aliasing'];

/** A machine's flags without those that forbid floats. */
export const ownFlags = ({ flags }: Machine): string[] =>
  flags.filter((flag) => !['-mgeneral-regs-only', '-msoft-float'].includes(flag));

/** The command that compiles a test, which may use floats, and links it with the objects of its machine. */
export const linkerOf = ({ linker, ...machine }: Machine): string[] =>
  linker === undefined ? [machine.compiler, ...ownFlags(machine)] : [linker.command, ...linker.flags];

/** Builds the test of an export, in its folder, as `test.elf`. */
export function build(folder: string, machine: Machine, options: BuildOptions): void {
  const { compiler, specs, flags, link } = machine;
  const { name, optimize, withPixels = false, counts = false } = options;
  const weights = ['.c', '.S']
    .map((end) => `${name}_weights${end}`)
    .find((file) => existsSync(path.join(folder, file)))!;
  const hook = counts ? ['-DMODEL_HOOK=count_op', '-include', path.join(SOURCES, 'count.h')] : [];
  const sources = [`${name}.c`, weights, `${name}_memory.c`];
  runIn(folder, [compiler, ...REQUIRED, optimize, ...flags, ...hook, '-c', ...sources]);
  // The test, and the C library below it, may use what they like.
  const pixels = withPixels ? ['-Dmain=run_test', path.join(SOURCES, 'pixels.c')] : [];
  const test = counts ? ['-I.', path.join(SOURCES, 'count.c')] : [`${name}_test.c`, ...pixels];
  const library = specs === undefined ? [] : [`--specs=${specs}`];
  const inputs = [...test, `${name}.o`, `${name}_weights.o`, ...library, ...link(folder)];
  runIn(folder, [...linkerOf(machine), '-O2', '-o', 'test.elf', ...inputs]);
}

/** Instructions of an object that work on floats, or name their registers. */
export function floatInstructions(folder: string, { prefix, floats }: Machine, object: string): string[] {
  const text = runIn(folder, [`${prefix}objdump`, '-d', '--no-show-raw-insn', object]);
  const instructions = [...text.matchAll(/^ +[0-9a-f]+:\t(.*)$/gm)].map(([, instruction]) =>
    instruction.replace(/<.*/, ''),
  );
  if (instructions.length === 0) throw new Error(`${object} was not disassembled`);
  return instructions.filter((instruction) => floats.test(instruction.trim()));
}

/** What an object takes from elsewhere. */
export function undefinedSymbols(folder: string, { prefix }: Machine, object: string): string[] {
  return [...runIn(folder, [`${prefix}nm`, '-u', object]).matchAll(/ U (\S+)/g)].map(([, symbol]) => symbol);
}
