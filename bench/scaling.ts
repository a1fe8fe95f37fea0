/**
 * How the cost of a Vision Transformer grows: with tokens, width, images at a time and threads. Native backend, synthetic
 * programs of DeiT's build. Writes docs/performance/*.svg and prints the tables of docs/performance.md.
 *
 *   npm run bench:scaling
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { quantile } from '../src/bench/measure.js';
import { createNativeEngine, createNativeProfiler } from '../src/engine/native.js';
import type { NativeKernels } from '../src/engine/native.js';
import { drawPlot } from './plot.js';
import type { Plot } from './plot.js';
import { DEIT_TINY, syntheticImage, syntheticVit } from './synthetic-vit.js';
import type { VitShape } from './synthetic-vit.js';

/** npm runs scripts there. */
const repository = process.cwd();
const kernels = createRequire(import.meta.url)(path.join(repository, 'native/build/Release/ivit.node')) as NativeKernels;
const folder = path.join(repository, 'docs/performance');
mkdirSync(folder, { recursive: true });

const RUNS = 25;

function median(values: readonly number[]): number {
  return quantile(Float64Array.from(values).sort(), 0.5);
}

interface Cost {
  readonly milliseconds: number;
  /** Multiply-adds executed, in units of 10^9. */
  readonly gmac: number;
  /** Share of the peak of the cores used. */
  readonly share: number | null;
  /** Milliseconds of all threads by kind of layer. */
  readonly kinds: ReadonlyMap<string, number>;
}

/** One image at a time. Peak and network are measured in turns. */
function measure(shape: VitShape, threads: number): Cost {
  const program = syntheticVit(shape);
  const profiler = createNativeProfiler(kernels, program, threads);
  const pixels = syntheticImage(program);
  const times: number[] = [];
  const peaks: number[] = [];
  const kinds = new Map<string, number[]>();
  let gmac = 0;
  for (let run = 0; run < RUNS + 2; run++) {
    const peak = kernels.measurePeak(profiler.isa, 30_000);
    const start = performance.now();
    const steps = profiler.run(pixels);
    const milliseconds = performance.now() - start;
    if (run < 2) continue;
    times.push(milliseconds);
    if (peak !== null) peaks.push(peak[0] / peak[1]);
    gmac = steps.reduce((sum, { multiplications }) => sum + multiplications, 0) / 1e9;
    const sums = new Map<string, number>();
    for (const { kind, nanoseconds } of steps) {
      sums.set(kind, (sums.get(kind) ?? 0) + nanoseconds.reduce((sum, t) => sum + Number(t), 0) / 1e6);
    }
    for (const [kind, sum] of sums) kinds.set(kind, [...(kinds.get(kind) ?? []), sum]);
  }
  profiler.close();
  const milliseconds = median(times);
  const share = peaks.length === 0 ? null : gmac / (milliseconds / 1e3) / median(peaks) / threads;
  return { milliseconds, gmac, share, kinds: new Map([...kinds].map(([kind, all]) => [kind, median(all)])) };
}

function print(title: string, columns: readonly string[], rows: readonly (readonly string[])[]): void {
  const lines = [columns, columns.map(() => '---:'), ...rows].map((row) => `| ${row.join(' | ')} |`);
  process.stdout.write(`### ${title}\n\n${lines.join('\n')}\n\n`);
}

function save(name: string, plot: Plot): void {
  writeFileSync(path.join(folder, `${name}.svg`), drawPlot(plot));
}

const percent = (share: number | null) => (share === null ? '' : `${(100 * share).toFixed(0)} %`);
const kindColumns = ['linear', 'attention', 'layerNorm', 'activation'];

function study(title: string, name: string, unit: string, shapes: readonly (readonly [x: number, shape: VitShape])[]): void {
  const costs = shapes.map(([x, shape]) => [x, measure(shape, 1)] as const);
  print(
    title,
    [unit, 'GMAC', 'ms', 'ms/GMAC', 'of peak', ...kindColumns],
    costs.map(([x, { milliseconds, gmac, share, kinds }]) => [
      String(x),
      gmac.toFixed(2),
      milliseconds.toFixed(2),
      (milliseconds / gmac).toFixed(2),
      percent(share),
      ...kindColumns.map((kind) => `${(kinds.get(kind) ?? 0).toFixed(2)} ms`),
    ]),
  );
  save(name, {
    title,
    x: unit,
    y: 'milliseconds',
    series: [
      { name: 'one image', points: costs.map(([x, { milliseconds }]) => [x, milliseconds]) },
      { name: 'at the peak', points: costs.map(([x, { milliseconds, share }]) => [x, milliseconds * (share ?? 0)]) },
    ],
  });
}

/** Images a second for so many images handed over at once. */
async function throughput(shape: VitShape, threads: number, batch: number): Promise<number> {
  const program = syntheticVit(shape);
  const engine = createNativeEngine(kernels, program, threads);
  const images = Array.from({ length: batch }, () => syntheticImage(program));
  const rates: number[] = [];
  for (let run = 0; run < Math.max(4, Math.ceil(64 / batch)); run++) {
    const start = performance.now();
    await engine.runAll(images);
    rates.push((1000 * batch) / (performance.now() - start));
  }
  await engine.close();
  return median(rates.slice(1));
}

const withTokens = (across: number): VitShape => ({ ...DEIT_TINY, imageSize: 16 * across });
study('Tokens', 'tokens', 'tokens', [7, 10, 14, 18, 24, 28].map((across) => [across * across + 1, withTokens(across)]));

const withWidth = (width: number): VitShape => ({ ...DEIT_TINY, width, heads: width / 64, hidden: 4 * width });
study('Width', 'width', 'width', [192, 256, 384, 512, 768, 1024].map((width) => [width, withWidth(width)]));

const cores = availableParallelism();
const counts = Array.from({ length: cores }, (_, i) => i + 1);
const batches = [1, 2, 4, 8, 16, 32];
const rates: { name: string; points: [number, number][] }[] = [];
for (const threads of counts) {
  const points: [number, number][] = [];
  for (const batch of batches) points.push([batch, await throughput(DEIT_TINY, threads, batch)]);
  rates.push({ name: `${threads} ${threads === 1 ? 'thread' : 'threads'}`, points });
}
print('Images at a time', ['images', ...rates.map(({ name }) => name)], batches.map((batch, i) => [String(batch), ...rates.map(({ points }) => `${points[i][1].toFixed(0)}/s`)]));
save('images', { title: 'Images at a time', x: 'images handed over at once', y: 'images a second', series: rates });

const threaded = counts.map((threads) => [threads, ...(['static', 'dynamic'] as const).map((scales) => measure({ ...DEIT_TINY, scales }, threads))] as const);
print(
  'Threads on one image',
  ['threads', 'static ms', 'speed-up', 'of peak', 'dynamic ms', 'speed-up', 'of peak'],
  threaded.map(([threads, fixed, dynamic]) => [
    String(threads),
    ...[fixed, dynamic].flatMap(({ milliseconds, share }, i) => [
      milliseconds.toFixed(2),
      (threaded[0][i + 1 as 1 | 2].milliseconds / milliseconds).toFixed(2),
      percent(share),
    ]),
  ]),
);
