import { loadNativeKernels, loadWasmModule } from '../engine/load.js';
import { createNativeEngine, createNativeProfiler } from '../engine/native.js';
import type { Profiler, StepProfile } from '../engine/profile.js';
import type { Engine } from '../engine/types.js';
import { createWasmEngine } from '../engine/wasm-engine.js';
import { createWasmProfiler } from '../engine/wasm.js';
import type { MemoryOptions } from '../program/budget.js';
import type { Program } from '../program/types.js';
import { noise } from './contenders.js';
import { quantile } from './measure.js';

/** What one kind of layer costs. */
export interface KindProfile {
  readonly kind: string;
  /** Milliseconds of one image, summed over its layers and threads. */
  readonly milliseconds: number;
  /** Share of all kinds' time. */
  readonly share: number;
  /** Multiply-adds executed in matrix products. */
  readonly multiplications: number;
  /** Share of the peak while this kind runs. */
  readonly shareOfPeak: number | null;
}

export interface Profile {
  readonly isa: string;
  readonly threads: number;
  readonly kinds: readonly KindProfile[];
  /** Multiply-adds a second of one core that only multiplies registers, median over the same runs; null: unknown. */
  readonly peak: number | null;
  /** Share of the peak of the linear layers alone. */
  readonly linearShare: number | null;
  /** Of a whole image: of the time that its steps take, and by the clock of a run in which no step is timed. */
  readonly wholeShare: number | null;
  readonly wallShare: number | null;
}

/** Rounds of the peak measure: some 0.2 ms. */
const PEAK_ROUNDS = 30_000;

/** Times every step of the native backend, with the machine's peak measured between the runs. */
export function profileNative(
  program: Program,
  threads: number,
  runs: number,
  options: MemoryOptions = {},
): Promise<Profile> {
  const kernels = loadNativeKernels();
  const profiler = createNativeProfiler(kernels, program, threads, options);
  const engine = createNativeEngine(kernels, program, threads, null, options);
  return profile(profiler, engine, program, runs, () => kernels.measurePeak(profiler.isa, PEAK_ROUNDS));
}

/** Times every step of the WebAssembly backend; it cannot tell the machine's peak. */
export async function profileWasm(program: Program, runs: number, options: MemoryOptions = {}): Promise<Profile> {
  const module = await loadWasmModule();
  const profiler = createWasmProfiler(module, program, options);
  return profile(profiler, createWasmEngine(module, program, 1, options), program, runs, () => null);
}

/** @param measurePeak multiply-adds and the nanoseconds they took, or null */
async function profile(
  profiler: Profiler,
  engine: Engine,
  program: Program,
  runs: number,
  measurePeak: () => readonly [count: number, nanoseconds: number] | null,
): Promise<Profile> {
  const { threads } = engine;
  const pixels = noise(program.input);
  const peaks: number[] = [];
  const walls: number[] = [];
  const steps: StepProfile[][] = [];
  profiler.run(pixels);
  await engine.runAll([pixels]);
  for (let i = 0; i < runs; i++) {
    const measured = measurePeak();
    if (measured !== null) peaks.push((1e9 * measured[0]) / measured[1]);
    const start = performance.now();
    await engine.runAll([pixels]);
    walls.push((performance.now() - start) / 1000);
    steps.push(profiler.run(pixels));
  }
  profiler.close();
  await engine.close();

  const peak = peaks.length === 0 ? null : median(peaks);
  const groups = new Map<string, { seconds: number; multiplications: number }>();
  steps[0].forEach(({ kind, multiplications }, s) => {
    const seconds = median(steps.map((run) => run[s].nanoseconds.reduce((sum, t) => sum + Number(t), 0))) / 1e9;
    const group = groups.get(kind) ?? { seconds: 0, multiplications: 0 };
    groups.set(kind, { seconds: group.seconds + seconds, multiplications: group.multiplications + multiplications });
  });
  const total = [...groups.values()].reduce((sum, { seconds }) => sum + seconds, 0);
  const multiplications = [...groups.values()].reduce((sum, group) => sum + group.multiplications, 0);
  const shareOf = (count: number, seconds: number) => (peak === null || count === 0 ? null : count / seconds / peak);
  const kinds = [...groups]
    .filter(([, { seconds }]) => seconds > 0)
    .map(([kind, { seconds, multiplications: count }]) => ({
      kind,
      milliseconds: 1000 * seconds,
      share: seconds / total,
      multiplications: count,
      shareOfPeak: shareOf(count, seconds),
    }));
  return {
    isa: profiler.isa,
    threads,
    kinds: kinds.sort((a, b) => b.milliseconds - a.milliseconds),
    peak,
    linearShare: kinds.find(({ kind }) => kind === 'linear')?.shareOfPeak ?? null,
    wholeShare: shareOf(multiplications, total),
    wallShare: shareOf(multiplications, threads * median(walls)),
  };
}

function median(values: readonly number[]): number {
  return quantile(Float64Array.from(values).sort(), 0.5);
}
