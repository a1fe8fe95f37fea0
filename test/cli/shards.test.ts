/** Evaluations in parts, by processes that are killed and repeated, come to the figures of one run. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { spawn } from 'node:child_process';
import path from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Shard } from '../../src/api/shard.js';
import { parseShard, shardFrom } from '../../src/cli/shard.js';
import { REPOSITORY, ivit, savePhoto, saveTinyOnnx, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();
const CLASSES = ['cat', 'dog', 'newt'];
const IMAGES = 13;
/** Of class 1: these take long to read, so that the shard can be killed meanwhile. */
const SLOW = [5, 6, 7];

beforeAll(async () => {
  await saveTinyOnnx(folder.path('float.onnx'));
  let seed = 0;
  for (const [label, name] of CLASSES.entries())
    for (let i = 0; i < IMAGES; i++) {
      const file = folder.path('val', name, `${String(i).padStart(2, '0')}.png`);
      await savePhoto(file, seed++, 16);
      if (label === 1 && SLOW.includes(i)) {
        const large = await sharp(file).resize(1500, 1500).png().toBuffer();
        writeFileSync(file, large);
      }
    }
  writeFileSync(folder.path('val', 'dog', '99.png'), 'no image');
  const settings = ['--crop-pct', '1', '--mean', '0.5', '--std', '0.5', '--effort', 'fast'];
  const { code } = await ivit(['quantize', 'float.onnx', '--images', 'val/newt', ...settings], { cwd: folder.path() });
  expect(code).toBe(0);
});

const EVAL = ['eval', '--dataset', 'val', '--float', 'float.onnx', '--threads', '1', '--json'];
const evaluate = (...args: string[]) => ivit([...EVAL, ...args], { cwd: folder.path() });
const merge = (...args: string[]) => ivit(['merge', ...args], { cwd: folder.path() });
const text = (name: string): string => readFileSync(folder.path(name), 'utf8');

/** What does not depend on the time of day. */
function figuresOf(stdout: string): object {
  const {
    imagesPerSecond: _,
    latencyMs: _latency,
    parts: _parts,
    overlapping: _overlapping,
    ...rest
  } = JSON.parse(stdout);
  return rest;
}

/** Times that a busy machine may look too late, when the run has ended already. */
const TRIES = 10;

/** Runs a shard and kills it, with no way to tidy up, once it has written something. */
async function killed(out: string, ...args: string[]): Promise<void> {
  const partial = folder.path(`${out}.partial`);
  const hasRow = () => existsSync(partial) && readFileSync(partial, 'utf8').split('\n').length > 2;
  for (let tries = 0; tries < TRIES && !existsSync(partial); tries++) {
    rmSync(folder.path(out), { force: true });
    const command = [path.join(REPOSITORY, 'bin/ivit.js'), ...EVAL, '--out', out, ...args];
    const child = spawn(process.execPath, command, { cwd: folder.path(), stdio: 'ignore' });
    const ended = new Promise((resolve) => child.on('close', resolve));
    while (!hasRow() && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 1));
    child.kill('SIGKILL');
    await ended;
  }
  expect(existsSync(partial)).toBe(true);
  expect(existsSync(folder.path(out))).toBe(false);
}

test('sixteen shards, one killed and run again, two overlapping: the figures of one run, digit for digit', async () => {
  const whole = await evaluate('--predictions', 'whole.csv', '--confusion', 'whole-confusion.csv');
  expect(whole.code).toBe(0);
  mkdirSync(folder.path('parts'));
  // Images 18 to 20 of 40 are slow.
  await killed('parts/07.jsonl', '--shard', '8/16');
  const others = Array.from({ length: 16 }, (_, i) => i + 1).filter((i) => i !== 8);
  const shard = (i: number) => evaluate('--shard', `${i}/16`, '--out', `parts/${String(i - 1).padStart(2, '0')}.jsonl`);
  for (let i = 0; i < others.length; i += 2)
    for (const { code } of await Promise.all(others.slice(i, i + 2).map(shard))) expect(code).toBe(0);

  const early = await merge('parts');
  expect(early).toMatchObject({ code: 3, stdout: '' });
  expect(early.stderr).toMatch(/note: parts\/07\.jsonl\.partial is of a run that has not ended: it does not count\.\n/);
  expect(early.stderr).toMatch(
    /error: \d images are in no part: shard 8\/16 is missing\. Run ivit eval … --shard 8\/16/,
  );

  expect((await shard(8)).code).toBe(0);
  copyFileSync(folder.path('parts/03.jsonl'), folder.path('parts/again.jsonl'));
  expect((await evaluate('--shard', '2/5', '--out', 'parts/other-split.jsonl')).code).toBe(0);
  const merged = await merge('parts', '--json', '--predictions', 'merged.csv', '--confusion', 'merged-confusion.csv');
  expect(merged.code).toBe(0);
  expect(figuresOf(merged.stdout)).toEqual(figuresOf(whole.stdout));
  expect(JSON.parse(merged.stdout).overlapping).toBeGreaterThan(8);
  expect(text('merged.csv')).toBe(text('whole.csv'));
  expect(text('merged-confusion.csv')).toBe(text('whole-confusion.csv'));
  expect(merged.stderr).toBe(whole.stderr);
  expect(JSON.parse(whole.stdout)).toMatchObject({ images: 39, skipped: [{ path: 'val/dog/99.png' }] });
});

test('a killed run is resumed: what it found stays, and the figures are those of one run', async () => {
  const whole = await evaluate('--save-float', 'whole.f32');
  await killed('run.jsonl', '--save-float', 'run.f32');
  const rowsOf = (name: string) => text(name).split('\n').slice(1);
  const before = rowsOf('run.jsonl.partial').filter((line) => line.endsWith('}'));
  // The last line that a killed process wrote may be cut.
  writeFileSync(folder.path('run.jsonl.partial'), `${text('run.jsonl.partial')}{"index":`);
  const resumed = await evaluate('--out', 'run.jsonl', '--save-float', 'run.f32', '--resume');
  expect(resumed.code).toBe(0);
  expect(figuresOf(resumed.stdout)).toEqual(figuresOf(whole.stdout));
  expect(rowsOf('run.jsonl').slice(0, before.length)).toEqual(before);
  expect(before.length).toBeGreaterThan(0);
  expect(readFileSync(folder.path('run.f32'))).toEqual(readFileSync(folder.path('whole.f32')));
  expect(readdirSync(folder.path()).filter((name) => name.endsWith('.partial'))).toEqual([]);

  const { mtimeMs } = statSync(folder.path('run.jsonl'));
  const again = await evaluate('--out', 'run.jsonl', '--resume');
  expect(again.stderr).toMatch(/^note: run\.jsonl is whole: nothing is left to do\.\n/);
  expect(figuresOf(again.stdout)).toMatchObject({ images: 39 });
  expect(statSync(folder.path('run.jsonl')).mtimeMs).toBe(mtimeMs);

  await killed('other.jsonl');
  const other = await evaluate('--out', 'other.jsonl', '--resume', '--exif', 'apply');
  expect(other).toMatchObject({ code: 3, stdout: '' });
  expect(other.stderr).toMatch(/other\.jsonl\.partial cannot be resumed: it is of other settings \(.*\)\. Delete it/);
  rmSync(folder.path('other.jsonl.partial'));
});

describe('--shard auto', () => {
  test.each<[string, Record<string, string>, Shard]>([
    [
      'Slurm',
      { SLURM_ARRAY_TASK_ID: '3', SLURM_ARRAY_TASK_MIN: '2', SLURM_ARRAY_TASK_COUNT: '4' },
      { index: 2, count: 4 },
    ],
    [
      'Slurm, every other index',
      {
        ...{ SLURM_ARRAY_TASK_ID: '4', SLURM_ARRAY_TASK_MIN: '0', SLURM_ARRAY_TASK_MAX: '6' },
        ...{ SLURM_ARRAY_TASK_STEP: '2', SLURM_ARRAY_TASK_COUNT: '4', JOB_COMPLETION_INDEX: '2', IVIT_SHARDS: '4' },
      },
      { index: 3, count: 4 },
    ],
    ['Kubernetes', { JOB_COMPLETION_INDEX: '0', IVIT_SHARDS: '4' }, { index: 1, count: 4 }],
    ['AWS Batch', { AWS_BATCH_JOB_ARRAY_INDEX: '3', AWS_BATCH_JOB_ARRAY_SIZE: '4' }, { index: 4, count: 4 }],
    ['Google Cloud Batch', { BATCH_TASK_INDEX: '1', BATCH_TASK_COUNT: '4' }, { index: 2, count: 4 }],
  ])('%s', (_, environment, shard) => {
    expect(shardFrom(environment)).toEqual(shard);
  });

  test.each<[string, Record<string, string>, RegExp]>([
    ['no scheduler', {}, /--shard auto: none of SLURM_ARRAY_TASK_ID, .* is set; say the shard: --shard 1\/16/],
    ['no count', { JOB_COMPLETION_INDEX: '0' }, /Kubernetes says the index .* and not how many .*: set IVIT_SHARDS/],
    ['an index out of range', { JOB_COMPLETION_INDEX: '4', IVIT_SHARDS: '4' }, /the indices must follow one another/],
    [
      'two schedulers that say different things',
      { JOB_COMPLETION_INDEX: '1', IVIT_SHARDS: '4', BATCH_TASK_INDEX: '2', BATCH_TASK_COUNT: '4' },
      /Kubernetes says 2\/4 \(JOB_COMPLETION_INDEX\), Google Cloud Batch says 3\/4 \(BATCH_TASK_INDEX\): say which/,
    ],
    [
      'two counts',
      { BATCH_TASK_INDEX: '2', BATCH_TASK_COUNT: '4', IVIT_SHARDS: '16' },
      /BATCH_TASK_COUNT is 4, IVIT_SHARDS is 16: say the shard/,
    ],
    [
      'some tasks of an array that run again',
      {
        ...{ SLURM_ARRAY_TASK_ID: '3', SLURM_ARRAY_TASK_MIN: '1', SLURM_ARRAY_TASK_MAX: '7' },
        ...{ SLURM_ARRAY_TASK_COUNT: '3', SLURM_ARRAY_TASK_STEP: '1' },
      },
      /the array has 3 tasks from 1 .* to 7 .*: tasks that run again alone must be told their shard/,
    ],
    ['a count that is none', { JOB_COMPLETION_INDEX: '4', IVIT_SHARDS: 'x' }, /IVIT_SHARDS is no whole number: x/],
  ])('%s is refused', (_, environment, message) => {
    expect(() => shardFrom(environment)).toThrow(message);
  });

  test('of the environment, by the command', async () => {
    const env = { JOB_COMPLETION_INDEX: '2', IVIT_SHARDS: '16' };
    const args = ['eval', '--dataset', 'val', '--shard', 'auto', '--out', 'auto.jsonl', '--json'];
    const { code, stdout } = await ivit(args, { cwd: folder.path(), env });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ shard: { index: 3, count: 16 } });
    const { code: refused, stderr } = await ivit(args.slice(0, -3), { cwd: folder.path(), env });
    expect(refused).toBe(2);
    expect(stderr).toMatch(/--shard evaluates a part: give the file to write it to/);
  });
});

test.each(['0/4', '5/4', '1', 'x'])('--shard %s is refused', (shard) => {
  expect(() => parseShard(shard)).toThrow(/It must be like 3\/16/);
});
