/** Runs the scripts of examples/shards as far as one machine allows. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { beforeAll, describe, expect, test } from 'vitest';
import { REPOSITORY, ivit, messagesOf, savePhoto, saveTinyModel, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();
const EXAMPLES = path.join(REPOSITORY, 'examples/shards');
const IVIT = `${process.execPath} ${path.join(REPOSITORY, 'bin/ivit.js')}`;
let expected: unknown;

beforeAll(async () => {
  await saveTinyModel(folder.path('model.ivit'));
  let seed = 0;
  for (const name of ['cat', 'dog', 'newt'])
    for (const i of [0, 1]) await savePhoto(folder.path('val', name, `${i}.png`), seed++, 16);
  expected = top1((await ivit(['eval', '--dataset', 'val', '--json'], { cwd: folder.path() })).stdout);
});

const top1 = (stdout: string): unknown => {
  const { images, top1: share, ece } = JSON.parse(stdout);
  return { images, share, ece };
};

/** Runs a command with the settings of the examples: three parts, in a folder of their own. */
function run(command: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  // A scheduler that runs these tests is none of theirs.
  const inherited = Object.entries(process.env).filter(([name]) => !/^(SLURM|JOB_|BATCH|AWS_BATCH)/.test(name));
  const env = { ...Object.fromEntries(inherited), SHARDS: '3', IVIT, ...environment };
  const { stderr, ...result } = spawnSync(command, args, { cwd: folder.path(), env, encoding: 'utf8' });
  return { ...result, stderr: messagesOf(stderr) };
}

const isThere = (command: string): boolean => spawnSync(command, ['--version']).status === 0;
const hasShell = process.platform !== 'win32';

describe.skipIf(!hasShell)('examples/shards', () => {
  test('xargs.sh, and again where a part is missing', () => {
    const script = path.join(EXAMPLES, 'xargs.sh');
    const { status, stdout, stderr } = run('sh', [script, '--json'], { PARTS: 'with-xargs' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(top1(stdout)).toEqual(expected);
    expect(readdirSync(folder.path('with-xargs')).sort()).toEqual(['1.jsonl', '2.jsonl', '3.jsonl']);
    const kept = readFileSync(folder.path('with-xargs/1.jsonl'));
    rmSync(folder.path('with-xargs/2.jsonl'));
    expect(top1(run('sh', [script, '--json'], { PARTS: 'with-xargs' }).stdout)).toEqual(expected);
    expect(readFileSync(folder.path('with-xargs/1.jsonl'))).toEqual(kept);
  });

  // Where it is not installed, a stand-in reads its options and runs the jobs one after the other.
  test('parallel.sh', () => {
    mkdirSync(folder.path('bin'), { recursive: true });
    const standIn = [
      '#!/bin/sh',
      'set -e',
      '[ "$1" = --jobs ] && [ "$3" = --halt ] && [ "$4" = soon,fail=1 ] || exit 9',
      'while read -r i; do sh -c "$(printf %s "$5" | sed "s/{}/$i/g")"; done',
    ];
    writeFileSync(folder.path('bin/parallel'), `${standIn.join('\n')}\n`, { mode: 0o755 });
    const PATH = isThere('parallel') ? process.env['PATH']! : `${folder.path('bin')}:${process.env['PATH']}`;
    const settings = { PARTS: 'with-parallel', PATH };
    const { status, stdout } = run('sh', [path.join(EXAMPLES, 'parallel.sh'), '--json'], settings);
    expect(status).toBe(0);
    expect(top1(stdout)).toEqual(expected);
  });

  test('slurm.sh: each task of the array', async () => {
    const script = readFileSync(path.join(EXAMPLES, 'slurm.sh'), 'utf8');
    expect(script).toMatch(/^#SBATCH --array=1-16$/m);
    for (const task of ['1', '2', '3']) {
      const settings = { PARTS: 'with-slurm', SLURM_ARRAY_TASK_ID: task, SLURM_CPUS_PER_TASK: '1' };
      expect(run('sh', [path.join(EXAMPLES, 'slurm.sh')], settings).status).toBe(0);
    }
    expect(top1((await ivit(['merge', 'with-slurm', '--json'], { cwd: folder.path() })).stdout)).toEqual(expected);
  });

  test('kubernetes.yaml: what each pod runs', async () => {
    const { spec } = parse(readFileSync(path.join(EXAMPLES, 'kubernetes.yaml'), 'utf8'));
    const [container] = spec.template.spec.containers;
    const variables = Object.fromEntries(
      container.env.map(({ name, value }: { name: string; value: string }) => [name, value]),
    );
    expect(spec.completionMode).toBe('Indexed');
    expect(Number(variables.IVIT_SHARDS)).toBe(spec.completions);
    expect(spec.template.spec.restartPolicy).toBe('Never');
    mkdirSync(folder.path('image'), { recursive: true });
    writeFileSync(folder.path('image/ivit'), `#!/bin/sh\nexec ${IVIT} "$@"\n`, { mode: 0o755 });
    const PATH = `${folder.path('image')}:${process.env['PATH']}`;
    for (const index of ['0', '1', '2']) {
      const pod = { ...variables, PARTS: 'of-pods', IVIT_SHARDS: '3', JOB_COMPLETION_INDEX: index, PATH };
      const [command, ...args] = [...container.command, ...container.args];
      expect(run(command, args, pod).status).toBe(0);
    }
    expect(top1((await ivit(['merge', 'of-pods', '--json'], { cwd: folder.path() })).stdout)).toEqual(expected);
  });
});
