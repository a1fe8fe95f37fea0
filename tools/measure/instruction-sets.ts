/**
 * What each vector instruction set of this machine takes for a network, in turns on one thread: AMX beside AVX-512
 * VNNI, and so on. Models given, or synthetic ones of DeiT's build.
 *
 *   npm run bench:instruction-sets [-- MODEL.ivit...]
 */
import path from 'node:path';
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

const kernels = loadNativeKernels();
/** Best first; plain C would take minutes. */
const ISAS = kernels.isas().filter((isa) => isa !== 'portable');

/** The 10th percentile: of the machine as it is when nothing else runs, and no lucky single run. */
function typical(times: readonly number[]): number {
  return quantile(Float64Array.from(times).sort(), 0.1);
}

interface Times {
  readonly isa: string;
  /** Milliseconds of all steps; of each kind. */
  readonly all: number;
  readonly kinds: ReadonlyMap<string, number>;
  /** Of the linear layers, of the peak of one core; null: unknown. */
  readonly share: number | null;
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
    let multiplications = 0;
    runs[0].forEach(({ kind, multiplications: count }, step) => {
      const time = typical(runs.map((steps) => Number(steps[step].nanoseconds[0]) / 1e6));
      kinds.set(kind, (kinds.get(kind) ?? 0) + time);
      if (kind === 'linear') multiplications += count;
    });
    const all = [...kinds.values()].reduce((sum, time) => sum + time, 0);
    const linear = 1e6 * (kinds.get('linear') ?? 0);
    return {
      isa: profiler.isa,
      all,
      kinds,
      share: peaks.length === 0 ? null : (multiplications * typical(peaks)) / linear,
    };
  });
}

function print(name: string, times: readonly Times[]): void {
  const slowest = times.at(-1)!.all;
  for (const { isa, all, kinds, share } of times) {
    const cells = [
      name,
      isa,
      `${all.toFixed(2)} ms`,
      (slowest / all).toFixed(2),
      ...KINDS.map((kind) => `${(kinds.get(kind) ?? 0).toFixed(2)} ms`),
      share === null ? '' : `${(100 * share).toFixed(0)} %`,
    ];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
}

const files = process.argv.slice(2);
const columns = ['model', 'instruction set', 'all steps', `× ${ISAS.at(-1)!}`, ...KINDS, 'linear of peak'];
process.stdout.write(`| ${columns.join(' | ')} |\n|${'---|'.repeat(2)}${'--:|'.repeat(columns.length - 2)}\n`);
if (files.length === 0) {
  print('width 192', measure(syntheticVit(DEIT_TINY)));
  print('width 384', measure(syntheticVit(DEIT_SMALL)));
  print('width 768', measure(syntheticVit({ ...DEIT_TINY, width: 768, heads: 12, hidden: 3072 })));
}
for (const file of files) print(path.basename(file), measure((await loadModel(file)).program));
