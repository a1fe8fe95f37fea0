/**
 * Fuzzes what reads files, for as long as asked. Every input follows from the seed and its number.
 *
 *   npm run fuzz -- --minutes 60 --seed 1 --target ivit,onnx,images,texts,programs
 *
 * A fault is written, with as few changes as show it, to fuzz-failures/ in the current folder, and counted. Ends with 1
 * where there was one. The process that tries is a child: where it dies or hangs, the input at hand is the fault.
 */
import { fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { everyEngine } from '../../src/engine/every.js';
import { packageFile } from '../../src/package-root.js';
import { ivitTarget } from './ivit-files.js';
import { onnxTarget } from './onnx-files.js';
import { programTarget } from './programs.js';
import { containerTarget } from './containers.js';
import { imageTarget, textTarget } from './small-files.js';
import { minimised, recipeOf, tryInput, type Recipe, type Target } from './target.js';

const FAILURES = 'fuzz-failures';
/** Faults that are written in a second: the others are most likely the same. */
const MOST_RECORDED = 5;
/** A child that has not finished an input after so long is ended. */
const HUNG_MS = 120_000;

const targets: Readonly<Record<string, () => Promise<Target>>> = {
  ivit: async () => ivitTarget(await everyEngine()),
  programs: async () => programTarget(await everyEngine()),
  onnx: async () => onnxTarget(packageFile('fixtures/zoo'), packageFile('fixtures/zoo2')),
  images: async () => imageTarget(packageFile('fixtures/decode')),
  texts: async () => textTarget(),
  containers: async () => containerTarget(),
};

interface Counts {
  inputs: number;
  accepted: number;
  faults: number;
  slowestMs: number;
  mostBytes: number;
}

const { values: flags } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    target: { type: 'string', default: Object.keys(targets).join() },
    child: { type: 'string' },
    first: { type: 'string', default: '0' },
  },
});

if (flags.child === undefined) await supervise();
else await work(flags.child);

/** One target after another, an equal share of the time each. */
async function supervise(): Promise<void> {
  const names = flags.target.split(',');
  let faults = 0;
  for (const name of names) {
    const end = Date.now() + (60_000 * Number(flags.minutes)) / names.length;
    const total = { inputs: 0, accepted: 0, faults: 0, slowestMs: 0, mostBytes: 0 };
    let first = 0;
    while (Date.now() < end) first = await superviseChild(name, first, end, total);
    faults += total.faults;
    process.stdout.write(
      `${name}, seed ${flags.seed}: ${total.inputs} inputs, ${total.accepted} accepted, ${total.faults} faults, ` +
        `slowest ${Math.round(total.slowestMs)} ms, most memory ${Math.round(total.mostBytes / 2 ** 20)} MiB\n`,
    );
  }
  process.exitCode = faults > 0 ? 1 : 0;
}

/** @returns the number of the next input */
async function superviseChild(name: string, first: number, end: number, total: Counts): Promise<number> {
  const folder = mkdtempSync(path.join(tmpdir(), 'ivit-fuzz-state-'));
  const state = path.join(folder, 'state');
  writeFileSync(state, String(first));
  const options = ['--child', name, '--seed', flags.seed, '--first', String(first), '--minutes', String(end)];
  const child = fork(fileURLToPath(import.meta.url), options, { env: { ...process.env, IVIT_FUZZ_STATE: state } });
  child.on('message', (counts: Counts) => {
    total.inputs += counts.inputs;
    total.accepted += counts.accepted;
    total.faults += counts.faults;
    total.slowestMs = Math.max(total.slowestMs, counts.slowestMs);
    total.mostBytes = Math.max(total.mostBytes, counts.mostBytes);
  });
  let last = '';
  const watch = setInterval(() => {
    const now = readFileSync(state, 'utf8');
    if (now !== '' && now === last) child.kill('SIGKILL'); // '': it is being written
    last = now;
  }, HUNG_MS);
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on('exit', (...how) => resolve(how)),
  );
  clearInterval(watch);
  const at = Number(readFileSync(state, 'utf8'));
  rmSync(folder, { recursive: true });
  if (code === 0) return at + 1;
  total.faults++;
  await record(name, at, `the process ended by ${signal ?? code}`, null);
  return at + 1;
}

async function work(name: string): Promise<void> {
  const target = await targets[name]();
  const seed = Number(flags.seed);
  const end = Number(flags.minutes);
  const state = process.env['IVIT_FUZZ_STATE']!;
  const counts: Counts = { inputs: 0, accepted: 0, faults: 0, slowestMs: 0, mostBytes: 0 };
  let told = Date.now();
  for (let i = Number(flags.first); Date.now() < end; i++) {
    writeFileSync(state, String(i));
    const recipe = recipeOf(target, seed, i);
    const { accepted, fault, ms } = await tryInput(target, recipe);
    counts.inputs++;
    if (accepted) counts.accepted++;
    counts.slowestMs = Math.max(counts.slowestMs, ms);
    if (i % 64 === 0) counts.mostBytes = Math.max(counts.mostBytes, process.memoryUsage.rss());
    if (fault !== null && counts.faults++ < MOST_RECORDED) {
      await record(name, i, fault, fault.startsWith('it took') ? recipe : await minimised(target, recipe), target);
    }
    if (Date.now() - told > 1000) {
      told = Date.now();
      tell(counts);
    }
  }
  tell(counts);
  await new Promise((resolve) => process.send!({ ...counts, inputs: 0, accepted: 0, faults: 0 }, resolve));
  process.exit(0);
}

function tell(counts: Counts): void {
  process.send!({ ...counts });
  counts.inputs = counts.accepted = counts.faults = 0;
}

async function record(name: string, index: number, fault: string, recipe: Recipe | null, made?: Target): Promise<void> {
  const target = made ?? (await targets[name]());
  const chosen = recipe ?? recipeOf(target, Number(flags.seed), index);
  mkdirSync(FAILURES, { recursive: true });
  const file = path.join(FAILURES, `${name}-${flags.seed}-${index}`);
  writeFileSync(file, target.make(chosen));
  writeFileSync(`${file}.txt`, `${JSON.stringify(chosen)}\n${fault}\n`);
  process.stdout.write(`${file}: ${fault.split('\n', 1)[0]}\n`);
}
