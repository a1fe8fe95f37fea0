/**
 * How the cost of a Vision Transformer grows: with tokens, width, images at a time and threads. Native backend,
 * synthetic programs of DeiT's build. Writes docs/performance/*.svg and prints the tables of docs/performance.md.
 *
 *   npm run bench:scaling
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { quantile } from '../../src/bench/measure.js';
import { loadNativeKernels } from '../../src/engine/load.js';
import { createNativeEngine, createNativeProfiler } from '../../src/engine/native.js';
import type { StepProfile } from '../../src/engine/profile.js';
import { drawPlot } from './plot.js';
import type { Plot } from './plot.js';
import { DEIT_TINY, syntheticImage, syntheticVit } from './synthetic-vit.js';
import type { VitShape } from './synthetic-vit.js';

/** npm runs scripts there. */
const repository = process.cwd();
const kernels = loadNativeKernels();
const folder = path.join(repository, 'docs/performance');
mkdirSync(folder, { recursive: true });

const RUNS = 40;

/** The 10th percentile of times: of the machine as it is when nothing else runs, and no lucky single run. */
function typical(times: readonly number[]): number {
  return quantile(Float64Array.from(times).sort(), 0.1);
}

interface Cost {
  /** Sum of all steps: other load falls into few of the runs of a step, but into every run of a large network. */
  readonly milliseconds: number;
  /** Multiply-adds executed, in units of 10^9. */
  readonly gmac: number;
  /** What these take at the peak of one core; null: unknown. */
  readonly atPeak: number | null;
  /** Milliseconds by kind of layer. */
  readonly kinds: ReadonlyMap<string, number>;
}

/** One image, one thread. Peak and network are measured in turns. */
function measure(shape: VitShape): Cost {
  const program = syntheticVit(shape);
  const profiler = createNativeProfiler(kernels, program, 1);
  const pixels = syntheticImage(program);
  const peaks: number[] = [];
  const runs: StepProfile[][] = [];
  profiler.run(pixels);
  for (let run = 0; run < RUNS; run++) {
    const peak = kernels.measurePeak(profiler.isa, 30_000);
    if (peak !== null) peaks.push((1e3 * peak[1]) / peak[0]);
    runs.push(profiler.run(pixels));
  }
  profiler.close();
  const kinds = new Map<string, number>();
  let milliseconds = 0;
  runs[0].forEach(({ kind }, step) => {
    const time = typical(runs.map((steps) => Number(steps[step].nanoseconds[0]) / 1e6));
    milliseconds += time;
    kinds.set(kind, (kinds.get(kind) ?? 0) + time);
  });
  const gmac = runs[0].reduce((sum, { multiplications }) => sum + multiplications, 0) / 1e9;
  return { milliseconds, gmac, atPeak: peaks.length === 0 ? null : gmac * typical(peaks), kinds };
}

function print(title: string, columns: readonly string[], rows: readonly (readonly string[])[]): void {
  const lines = [columns, columns.map(() => '---:'), ...rows].map((row) => `| ${row.join(' | ')} |`);
  process.stdout.write(`### ${title}\n\n${lines.join('\n')}\n\n`);
}

function save(name: string, plot: Plot): void {
  writeFileSync(path.join(folder, `${name}.svg`), drawPlot(plot));
}

const percent = (part: number | null, of: number) => (part === null ? '' : `${((100 * part) / of).toFixed(0)} %`);
const kindColumns = ['linear', 'attention', 'layerNorm', 'activation'];

function study(
  title: string,
  name: string,
  unit: string,
  shapes: readonly (readonly [x: number, shape: VitShape])[],
): void {
  const costs = shapes.map(([x, shape]) => [x, measure(shape)] as const);
  print(
    title,
    [unit, 'GMAC', 'ms', 'ms/GMAC', 'of peak', ...kindColumns],
    costs.map(([x, { milliseconds, gmac, atPeak, kinds }]) => [
      String(x),
      gmac.toFixed(2),
      milliseconds.toFixed(2),
      (milliseconds / gmac).toFixed(2),
      percent(atPeak, milliseconds),
      ...kindColumns.map((kind) => `${(kinds.get(kind) ?? 0).toFixed(2)} ms`),
    ]),
  );
  save(name, {
    title,
    x: unit,
    y: 'milliseconds',
    series: [
      { name: 'one image', points: costs.map(([x, { milliseconds }]) => [x, milliseconds]) },
      {
        name: 'at the peak',
        points: costs.flatMap(([x, { atPeak }]) => (atPeak === null ? [] : [[x, atPeak] as const])),
      },
    ],
  });
}

/** Milliseconds of each of so many images handed over at once. */
async function latency(shape: VitShape, threads: number, batch = 1): Promise<number> {
  const program = syntheticVit(shape);
  const engine = createNativeEngine(kernels, program, threads);
  const images = Array.from({ length: batch }, () => syntheticImage(program));
  const times: number[] = [];
  for (let run = 0; run < Math.max(20, 100 / batch); run++) {
    const start = performance.now();
    await engine.runAll(images);
    times.push((performance.now() - start) / batch);
  }
  await engine.close();
  return typical(times);
}

const withTokens = (across: number): VitShape => ({ ...DEIT_TINY, imageSize: 16 * across });
study(
  'Tokens',
  'tokens',
  'tokens',
  [7, 10, 14, 18, 24, 28].map((across) => [across * across + 1, withTokens(across)]),
);

const withWidth = (width: number): VitShape => ({ ...DEIT_TINY, width, heads: width / 64, hidden: 4 * width });
study(
  'Width',
  'width',
  'width',
  [192, 256, 384, 512, 768, 1024].map((width) => [width, withWidth(width)]),
);

const cores = availableParallelism();
const counts = Array.from({ length: cores }, (_, i) => i + 1);
const batches = [1, 2, 4, 8, 16, 32];
const rates: { name: string; points: [number, number][] }[] = [];
for (const threads of counts) {
  const points: [number, number][] = [];
  for (const batch of batches) points.push([batch, 1000 / (await latency(DEIT_TINY, threads, batch))]);
  rates.push({ name: `${threads} ${threads === 1 ? 'thread' : 'threads'}`, points });
}
print(
  'Images at a time',
  ['images', ...rates.map(({ name }) => name)],
  batches.map((batch, i) => [String(batch), ...rates.map(({ points }) => `${points[i][1].toFixed(0)}/s`)]),
);
save('images', { title: 'Images at a time', x: 'images handed over at once', y: 'images a second', series: rates });

const threaded: number[] = [];
for (const threads of counts) threaded.push(await latency(DEIT_TINY, threads));
print(
  'Threads on one image',
  ['threads', 'latency', 'speed-up'],
  counts.map((threads, i) => [String(threads), `${threaded[i].toFixed(2)} ms`, (threaded[0] / threaded[i]).toFixed(2)]),
);
