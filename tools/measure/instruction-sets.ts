/**
 * What each vector instruction set of this machine takes for a network, in turns on one thread: AMX beside AVX-512
 * VNNI, and so on. Models given, or synthetic ones of DeiT's build. `--only` measures one instruction set: beside
 * AMX, which lowers the clock, the others find caches of other data.
 *
 *   npm run bench:instruction-sets [-- --only avx512vnni] [MODEL.ivit...]
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { quantile } from '../../src/bench/measure.js';
import { loadNativeKernels } from '../../src/engine/load.js';
import { createNativeProfiler } from '../../src/engine/native.js';
import type { StepProfile } from '../../src/engine/profile.js';
import { loadModel } from '../../src/program/file.js';
import type { Program } from '../../src/program/types.js';
import { DEIT_SMALL, DEIT_TINY, syntheticImage, syntheticVit } from './synthetic-vit.js';

const RUNS = 30;
const PEAK_ROUNDS = 30_000;
const KINDS = ['linear', 'attention', 'layerNorm', 'activation'];

const { values: flags, positionals: files } = parseArgs({
  options: { only: { type: 'string' } },
  allowPositionals: true,
});
const kernels = loadNativeKernels();
/** Best first; plain C would take minutes. */
const ISAS = kernels.isas().filter((isa) => isa !== 'portable' && isa === (flags.only ?? isa));
/** Whose multiply-adds are counted. */
const SHARES = ['linear', 'attention'];

/** The 10th percentile: of the machine as it is when nothing else runs, and no lucky single run. */
function typical(times: readonly number[]): number {
  return quantile(Float64Array.from(times).sort(), 0.1);
}

interface Times {
  readonly isa: string;
  /** Milliseconds of all steps; of each kind. */
  readonly all: number;
  readonly kinds: ReadonlyMap<string, number>;
  /** Of the peak of one core, of each of SHARES, and of the whole network; null: unknown. */
  readonly shares: readonly (number | null)[];
}

function measure(program: Program): Times[] {
  const pixels = syntheticImage(program);
  const engines = ISAS.map((isa) => ({
    profiler: createNativeProfiler(kernels, program, 1, {}, isa),
    runs: [] as StepProfile[][],
    peaks: [] as number[],
  }));
  for (let run = -2; run < RUNS; run++) {
    for (const { profiler, runs, peaks } of engines) {
      const peak = kernels.measurePeak(profiler.isa, PEAK_ROUNDS);
      const steps = profiler.run(pixels);
      if (run < 0) continue;
      runs.push(steps);
      if (peak !== null) peaks.push(peak[1] / peak[0]);
    }
  }
  return engines.map(({ profiler, runs, peaks }) => {
    profiler.close();
    const kinds = new Map<string, number>();
    const multiplications = new Map<string, number>();
    runs[0].forEach(({ kind, multiplications: count }, step) => {
      const time = typical(runs.map((steps) => Number(steps[step].nanoseconds[0]) / 1e6));
      kinds.set(kind, (kinds.get(kind) ?? 0) + time);
      multiplications.set(kind, (multiplications.get(kind) ?? 0) + count);
    });
    const all = [...kinds.values()].reduce((sum, time) => sum + time, 0);
    const peak = peaks.length === 0 ? null : typical(peaks);
    const shareOf = (count: number, time: number) => (peak === null ? null : (count * peak) / (1e6 * time));
    const ofKinds = SHARES.map((kind) => shareOf(multiplications.get(kind) ?? 0, kinds.get(kind) ?? 0));
    const total = [...multiplications.values()].reduce((sum, count) => sum + count, 0);
    return { isa: profiler.isa, all, kinds, shares: [...ofKinds, shareOf(total, all)] };
  });
}

function print(name: string, times: readonly Times[]): void {
  const slowest = times.at(-1)!.all;
  for (const { isa, all, kinds, shares } of times) {
    const cells = [
      name,
      isa,
      `${all.toFixed(2)} ms`,
      (slowest / all).toFixed(2),
      ...KINDS.map((kind) => `${(kinds.get(kind) ?? 0).toFixed(2)} ms`),
      ...shares.map((share) => (share === null ? '' : `${(100 * share).toFixed(0)} %`)),
    ];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
}

const columns = [
  'model',
  'instruction set',
  'all steps',
  `× ${ISAS.at(-1)!}`,
  ...KINDS,
  ...[...SHARES, 'all'].map((kind) => `${kind} of peak`),
];
process.stdout.write(`| ${columns.join(' | ')} |\n|${'---|'.repeat(2)}${'--:|'.repeat(columns.length - 2)}\n`);
if (files.length === 0) {
  print('width 192', measure(syntheticVit(DEIT_TINY)));
  print('width 384', measure(syntheticVit(DEIT_SMALL)));
  print('width 768', measure(syntheticVit({ ...DEIT_TINY, width: 768, heads: 12, hidden: 3072 })));
}
for (const file of files) print(path.basename(file), measure((await loadModel(file)).program));
