/**
 * What the C export of a model costs on microcontrollers: code, memory, stack, and instructions by kind of op, counted
 * by emulators whose clock follows instructions; and its time on this machine, by instruction set, in turns. Prints the
 * tables of docs/deploy.md.
 *
 *   npm run deploy:cost -- [model.ivit]
 */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { lower, workOfProgram } from '../../../src/engine/plan/index.js';
import { cTarget } from '../../../src/export/c/index.js';
import { loadModel } from '../../../src/program/file.js';
import type { StoredModel } from '../../../src/program/model.js';
import { SCENES_MODEL } from '../../../test/scenes.js';
import { MACHINES, build, missingTools, runIn, type Machine } from './targets.js';

const NAMES = [
  ...['Cortex-M4', 'Cortex-M55', 'Cortex-M55, Helium'],
  ...['rv32imc', 'rv32imc, vectors of 128 bits', 'rv64imac', 'rv64imac, vectors of 256 bits'],
];
const HOST_NAMES = ['x86-64, SSE2', 'x86-64, AVX2', 'x86-64, AVX-512 VNNI'];

/** The same machine without the vectors of dot.c. */
const portable = (machine: Machine, name: string): Machine => ({
  ...machine,
  name,
  flags: [...machine.flags, '-DIVIT_PORTABLE'],
});

interface Cost {
  /** Bytes of the program and its kernels, without weights, by the compiler's option. */
  readonly code: ReadonlyMap<string, number>;
  readonly stack: number;
  /** Instructions for one image, by step of the program. */
  readonly instructions: ReadonlyMap<number, number>;
}

const OPTIONS = ['-Os', '-O2'];
const ROUNDS = 7;
/** That an export's test runs. */
const TEST_IMAGES = 3;

function measure(folder: string, machine: Machine): Cost {
  const code = new Map<string, number>();
  for (const optimize of OPTIONS) {
    build(folder, machine, { name: 'model', optimize });
    const sizes = runIn(folder, [`${machine.prefix}size`, 'model.o', 'model_memory.o']).matchAll(/^ *(\d+)/gm);
    code.set(
      optimize,
      [...sizes].reduce((sum, [, text]) => sum + Number(text), 0),
    );
  }
  build(folder, machine, { name: 'model', optimize: '-O2', counts: true });
  // SysTick has fewer ticks than there are instructions, unless each of these takes longer.
  const shift = machine.prefix.startsWith('arm') ? 6 : 0;
  const [emulator, ...rest] = machine.run;
  const lines = runIn(folder, [emulator, '-icount', `shift=${shift}`, ...rest])
    .trim()
    .split('\n');
  const words = lines.map((line) => line.trim().split(' '));
  const [, known, ticks] = words.find(([first]) => first === 'loop')!;
  const perTick = Number(known) / Number(ticks);
  const ops = words.filter(([first]) => /^\d+$/.test(first));
  return {
    code,
    stack: Number(words.find(([first]) => first === 'stack')![1]),
    instructions: new Map(ops.map(([op, , own]) => [Number(op), Number(own) * perTick])),
  };
}

/** Instructions by kind of op. */
function byKind({ program }: StoredModel, { instructions }: Cost): Map<string, number> {
  const { steps } = lower(workOfProgram(program));
  const sums = new Map<string, number>();
  for (const [step, count] of instructions) {
    const kind = steps[step].op?.op ?? 'quantize';
    sums.set(kind, (sums.get(kind) ?? 0) + count);
  }
  return sums;
}

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, one) => total + one, 0);
const millions = (count: number): string => (count / 1e6).toFixed(2);
const print = (...cells: readonly string[]): unknown => process.stdout.write(`| ${cells.join(' | ')} |\n`);
const head = (...titles: readonly string[]): void => {
  print(...titles);
  print('---', ...titles.slice(1).map(() => '--:'));
};

const model = await loadModel(process.argv[2] ?? SCENES_MODEL);
const folder = mkdtempSync(path.join(tmpdir(), 'ivit-cost-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const { files } = await cTarget.write({ model, name: 'model', options: {} });
for (const [name, content] of files) writeFileSync(path.join(folder, name), content);
const arena = /ARENA_BYTES (\d+)/.exec(String(files.get('model.h')))![1];

function those(names: readonly string[]): Machine[] {
  const found = names.map((name) => MACHINES.find((machine) => machine.name === name)!);
  return found.filter((machine) => {
    const missing = missingTools(machine);
    if (missing.length > 0) process.stderr.write(`skipped: ${machine.name}: there is no ${missing.join(', no ')}\n`);
    return missing.length === 0;
  });
}

const machines = those(NAMES).flatMap((machine) =>
  machine.name === 'Cortex-M4' ? [portable(machine, 'Cortex-M4 without DSP'), machine] : [machine],
);
const costs = machines.map((machine) => ({ machine, cost: measure(folder, machine) }));

head('machine', ...OPTIONS.map((option) => `code, ${option}`), 'arena', 'stack', 'instructions an image, -O2');
for (const { machine, cost } of costs) {
  const sizes = OPTIONS.map((option) => `${(cost.code.get(option)! / 1000).toFixed(1)} KB`);
  print(machine.name, ...sizes, `${arena} B`, `${cost.stack} B`, `${millions(sum(cost.instructions.values()))} M`);
}
process.stdout.write('\n');

const kinds = costs.map(({ cost }) => byKind(model, cost));
head('op', ...costs.flatMap(({ machine }) => [`${machine.name}, M`, '%']));
for (const [kind] of [...(kinds[0] ?? [])].sort(([, a], [, b]) => b - a)) {
  const cells = kinds.flatMap((own) => {
    const count = own.get(kind) ?? 0;
    return [millions(count), ((100 * count) / sum(own.values())).toFixed(1)];
  });
  print(kind, ...cells);
}

/** Milliseconds of this machine's processor for the test's three images: the best of some rounds, taken in turns. */
function timesHere(hosts: readonly Machine[]): number[] {
  const programs = hosts.map((machine, i) => {
    build(folder, machine, { name: 'model', optimize: '-O2' });
    renameSync(path.join(folder, 'test.elf'), path.join(folder, `host${i}`));
    return `./host${i}`;
  });
  const best = hosts.map(() => Infinity);
  for (let round = 0; round < ROUNDS; round++) {
    programs.forEach((program, i) => {
      const start = performance.now();
      runIn(folder, [program]);
      best[i] = Math.min(best[i], performance.now() - start);
    });
  }
  return best;
}

const vectors = those(HOST_NAMES);
const hosts = vectors.length === 0 ? [] : [portable(vectors[0], 'x86-64, portable'), ...vectors];
const times = timesHere(hosts);
process.stdout.write('\n');
head('this machine', 'ms an image, -O2', 'times portable');
hosts.forEach(({ name }, i) => {
  print(name, (times[i] / TEST_IMAGES).toFixed(1), (times[0] / times[i]).toFixed(2));
});
