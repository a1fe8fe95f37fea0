/** Which part of a run this process is to do: as Vitest and Playwright spell it, or as a scheduler says. */
import { InvalidArgumentError } from 'commander';
import { UsageError } from '../errors.js';
import type { Shard } from '../api/shard.js';

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
  /** The variable that says how many there are. */
  readonly count: string;
  /** Of indices that need not count from 0 by one: the variables that say the first, the last and the step. */
  readonly range?: readonly [first: string, last: string, step: string];
}

/** Kubernetes tells a pod its index alone: the job's manifest must set the count. */
const COUNT = 'IVIT_SHARDS';
const SCHEDULERS: readonly Scheduler[] = [
  {
    name: 'Slurm',
    index: 'SLURM_ARRAY_TASK_ID',
    count: 'SLURM_ARRAY_TASK_COUNT',
    range: ['SLURM_ARRAY_TASK_MIN', 'SLURM_ARRAY_TASK_MAX', 'SLURM_ARRAY_TASK_STEP'],
  },
  { name: 'Kubernetes', index: 'JOB_COMPLETION_INDEX', count: COUNT },
  { name: 'AWS Batch', index: 'AWS_BATCH_JOB_ARRAY_INDEX', count: 'AWS_BATCH_JOB_ARRAY_SIZE' },
  { name: 'Google Cloud Batch', index: 'BATCH_TASK_INDEX', count: 'BATCH_TASK_COUNT' },
];

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The shard that a scheduler's environment means.
 *
 * @throws UsageError where no scheduler is found, or several that mean different shards; where it does not say how many
 * shards there are, or its indices have gaps
 */
export function shardFrom(environment: Environment): Shard {
  const found = SCHEDULERS.filter(({ index }) => environment[index] !== undefined);
  const [first, ...others] = found.map((scheduler) => ({ scheduler, shard: shardOf(scheduler, environment) }));
  if (first === undefined)
    throw new UsageError(
      `--shard auto: none of ${SCHEDULERS.map(({ index }) => index).join(', ')} is set; say the shard: --shard 1/16`,
    );
  const { index, count } = first.shard;
  const other = others.find(({ shard }) => shard.index !== index || shard.count !== count);
  if (other === undefined) return first.shard;
  const said = [first, other].map(
    ({ scheduler, shard }) => `${scheduler.name} says ${shard.index}/${shard.count} (${scheduler.index})`,
  );
  throw new UsageError(`--shard auto: ${said.join(', ')}: say which, as in --shard ${index}/${count}`);
}

function shardOf({ name, index, count, range }: Scheduler, environment: Environment): Shard {
  const counts = [count, COUNT].filter((variable) => environment[variable] !== undefined);
  const [counted, other = counted] = counts;
  if (counted === undefined)
    throw new UsageError(`--shard auto: ${name} says the index (${index}) and not how many there are: set ${COUNT}`);
  const shards = wholeNumber(environment, counted);
  if (wholeNumber(environment, other!) !== shards)
    throw new UsageError(
      `--shard auto: ${counted} is ${shards}, ${other} is ${environment[other!]}: say the shard, as in --shard 3/16`,
    );
  const [start, step] = range === undefined ? [0, 1] : rangeOf(range, shards, environment);
  const place = (wholeNumber(environment, index) - start) / step;
  if (!Number.isInteger(place) || place < 0 || place >= shards)
    throw new UsageError(
      `--shard auto: ${index} is ${environment[index]} of ${shards} (${counted}), counted from ${start}: the ` +
        'indices must follow one another',
    );
  return { index: place + 1, count: shards };
}

/** @throws UsageError where there are gaps, as of an array of the tasks 3 and 7 */
function rangeOf(
  [min, max, by]: readonly [string, string, string],
  shards: number,
  environment: Environment,
): [start: number, step: number] {
  const start = wholeNumber(environment, min);
  const step = environment[by] === undefined ? 1 : Math.max(1, wholeNumber(environment, by));
  const last = environment[max] === undefined ? start + (shards - 1) * step : wholeNumber(environment, max);
  if (last === start + (shards - 1) * step) return [start, step];
  throw new UsageError(
    `--shard auto: the array has ${shards} tasks from ${start} (${min}) to ${last} (${max}): tasks that run again ` +
      'alone must be told their shard, as in --shard $SLURM_ARRAY_TASK_ID/16',
  );
}

function wholeNumber(environment: Environment, variable: string): number {
  const text = environment[variable] ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`--shard auto: ${variable} is no whole number: ${text || 'not set'}`);
}
