/** What the stages of a quantization give, kept outside of it: one that was killed need not do them again. */
import type { Collected } from '../calibrate/collect.js';
import { RowStore } from '../calibrate/row-store.js';
import { ChannelStatistics } from '../calibrate/statistics.js';

export interface Stages {
  /** What was put under a name, its classes gone (as `structuredClone` has it); undefined: nothing. */
  get(name: string): unknown;
  put(name: string, value: unknown): void;
}

export const NOT_KEPT: Stages = { get: () => undefined, put: () => undefined };

/** The same, under names of their own. */
export const named = (stages: Stages, prefix: string): Stages => ({
  get: (name) => stages.get(prefix + name),
  put: (name, value) => stages.put(prefix + name, value),
});

/** What a stage gives: what was kept of it, or what it makes now. */
export async function keptOr<T>(stages: Stages, name: string, make: () => T | Promise<T>): Promise<T> {
  const known = stages.get(name) as T | undefined;
  if (known !== undefined) return known;
  const made = await make();
  stages.put(name, made);
  return made;
}

const PASS = 'float pass';
const samplesOf = (id: string): string => `float pass, samples of ${id}`;

/** A pass as it is kept: the samples, which are large, one by one before it. */
interface KeptPass extends Omit<Collected, 'samples'> {
  readonly lengths: ReadonlyMap<string, number>;
}

export function putPass(stages: Stages, { samples, ...pass }: Collected): void {
  if (stages === NOT_KEPT) return;
  const { lengths } = samples;
  for (const [id, length] of lengths) stages.put(samplesOf(id), samples.read(id, 0, length));
  stages.put(PASS, { ...pass, lengths } satisfies KeptPass);
}

/** @returns undefined where the pass was not done, or not all of it is there */
export function getPass(stages: Stages): Collected | undefined {
  const pass = stages.get(PASS) as KeptPass | undefined;
  if (pass === undefined) return undefined;
  const { lengths, ...rest } = pass;
  const samples = new RowStore(lengths);
  for (const id of lengths.keys()) samples.write(id, 0, stages.get(samplesOf(id)) as Float32Array);
  const statistics = new Map(
    [...rest.statistics].map(([id, { channels, withHistogram, ...values }]) => [
      id,
      Object.assign(new ChannelStatistics(channels, withHistogram), values),
    ]),
  );
  return { ...rest, samples, statistics };
}
