import { setTimeout as sleep } from 'node:timers/promises';

/** One way to run a model, ready for one image after another. */
export interface Contender {
  /** What runs: `native (avx512vnni)`, `onnxruntime-node`, … */
  readonly runtime: string;
  /** `static`, `dynamic` (ivit); `float`, `int8 static`, `int8 conv`, … (ONNX Runtime). */
  readonly precision: string;
  /** null: it is not known. */
  readonly threads: number | null;
  /** How near it is to the float model, in dB; null: that is not known, or it is that model. */
  readonly sqnrDb: number | null;
  /** One image. */
  run(): Promise<unknown>;
  /** Several images, as fast as this runtime gets through them. */
  runMany(count: number): Promise<unknown>;
  close(): Promise<void>;
}

/** Wall-clock figures of one contender, in milliseconds. */
export interface Timing {
  readonly runtime: string;
  readonly precision: string;
  readonly threads: number | null;
  readonly sqnrDb: number | null;
  readonly median: number;
  readonly least: number;
  /** 10th and 90th percentile. */
  readonly spread: readonly [number, number];
  /** Images a second when there are many. */
  readonly throughput: number;
}

/** Runs that nobody times at the start of each turn: caches then hold what this contender needs. */
const WARM_RUNS = 2;
const TIMED_RUNS = 3;
/** Images of one throughput turn, for each thread. */
const MANY = 4;
/** Thread pools look for work for a while after a run; the next contender should not share the cores with them. */
const PAUSE = 30;

/**
 * Times contenders in turns, so that whatever else the machine does falls on all of them alike: `rounds` times every
 * contender gets a turn of a few runs.
 */
export async function measure(
  contenders: readonly Contender[],
  rounds: number,
  onRound?: (done: number) => void,
): Promise<Timing[]> {
  const times = contenders.map((): number[] => []);
  const rates = contenders.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, contender] of contenders.entries()) {
      for (let run = 0; run < WARM_RUNS; run++) await contender.run();
      for (let run = 0; run < TIMED_RUNS; run++) times[i].push(await time(() => contender.run()));
      const count = MANY * (contender.threads ?? 1);
      rates[i].push((1000 * count) / (await time(() => contender.runMany(count))));
      await sleep(PAUSE);
    }
    onRound?.(round + 1);
  }
  return contenders.map(({ runtime, precision, threads, sqnrDb }, i) => {
    const sorted = Float64Array.from(times[i]).sort();
    return {
      runtime,
      precision,
      threads,
      sqnrDb,
      median: quantile(sorted, 0.5),
      least: sorted[0],
      spread: [quantile(sorted, 0.1), quantile(sorted, 0.9)],
      throughput: quantile(Float64Array.from(rates[i]).sort(), 0.5),
    };
  });
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Linear between the two nearest of sorted values. */
export function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}
