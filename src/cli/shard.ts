/** Which part of a run this process is to do: as Vitest and Playwright spell it, or as a scheduler says. */
import { InvalidArgumentError } from 'commander';
import { UsageError } from '../errors.js';
import type { Shard } from '../api/part-file.js';

/** `3/16`: the third of sixteen; `auto`: what the scheduler says. */
export type ShardFlag = Shard | 'auto';

export function parseShard(text: string): ShardFlag {
  if (text === 'auto') return text;
  const [, index, count] = /^(\d{1,9})\/(\d{1,9})$/.exec(text) ?? [];
  if (index !== undefined && Number(index) >= 1 && Number(index) <= Number(count))
    return { index: Number(index), count: Number(count) };
  throw new InvalidArgumentError('It must be like 3/16, the third of sixteen, or auto.');
}

interface Scheduler {
  readonly name: string;
  readonly index: string;
  /** Where the index counts from; a variable that says so. */
  readonly first: number | string;
  /** The variable that says how many there are. */
  readonly count: string;
}

/** Kubernetes tells a pod its index alone: the job's manifest must set the count. */
const COUNT = 'IVIT_SHARDS';
const SCHEDULERS: readonly Scheduler[] = [
  { name: 'Slurm', index: 'SLURM_ARRAY_TASK_ID', first: 'SLURM_ARRAY_TASK_MIN', count: 'SLURM_ARRAY_TASK_COUNT' },
  { name: 'Kubernetes', index: 'JOB_COMPLETION_INDEX', first: 0, count: COUNT },
  { name: 'AWS Batch', index: 'AWS_BATCH_JOB_ARRAY_INDEX', first: 0, count: 'AWS_BATCH_JOB_ARRAY_SIZE' },
  { name: 'Google Cloud Batch', index: 'BATCH_TASK_INDEX', first: 0, count: 'BATCH_TASK_COUNT' },
];

/**
 * The shard that a scheduler's environment means.
 *
 * @throws UsageError where no scheduler is found, or it does not say how many shards there are
 */
export function shardFrom(environment: Readonly<Record<string, string | undefined>>): Shard {
  const scheduler = SCHEDULERS.find(({ index }) => environment[index] !== undefined);
  if (scheduler === undefined)
    throw new UsageError(
      `--shard auto: none of ${SCHEDULERS.map(({ index }) => index).join(', ')} is set; say the shard: --shard 1/16`,
    );
  const { name, index, first, count } = scheduler;
  const counted = [count, COUNT].find((variable) => environment[variable] !== undefined);
  if (counted === undefined)
    throw new UsageError(`--shard auto: ${name} says the index (${index}) and not how many there are: set ${COUNT}`);
  const start = typeof first === 'string' ? wholeNumber(environment, first) : first;
  const shard = { index: wholeNumber(environment, index) - start + 1, count: wholeNumber(environment, counted) };
  if (shard.index < 1 || shard.index > shard.count)
    throw new UsageError(
      `--shard auto: ${index} is ${environment[index]} of ${shard.count} (${counted}), counted from ${start}: the ` +
        'indices must follow one another',
    );
  return shard;
}

function wholeNumber(environment: Readonly<Record<string, string | undefined>>, variable: string): number {
  const text = environment[variable] ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`--shard auto: ${variable} is no whole number: ${text || 'not set'}`);
}
