import { copyFile } from 'node:fs/promises';
import { beforeAll, expect, test } from 'vitest';
import { saveModel } from '../../src/program/file.js';
import type { LinearOp } from '../../src/program/types.js';
import { tinyModel } from '../program/tiny.js';
import { ivit, saveTinyModel, temporaryFolder } from './ivit.js';

const folder = temporaryFolder();
const run = (...args: string[]) => ivit(['diff', ...args], { cwd: folder.path() });
const model = tinyModel();
const linear = model.program.ops.find((op): op is LinearOp => op.op === 'linear')!;

beforeAll(async () => {
  await saveTinyModel(folder.path('a.ivit'));
  await copyFile(folder.path('a.ivit'), folder.path('same.ivit'));
  const ops = model.program.ops.map((op) =>
    op === linear ? { ...linear, multiplier: linear.multiplier.map((b) => b - 1) } : op,
  );
  const { provenance } = model;
  const settings = { ...provenance.settings, effort: 'best' };
  await saveModel(folder.path('b.ivit'), {
    ...model,
    program: { ...model.program, ops },
    provenance: { ...provenance, settings },
  });
});

test('a copy is the same model', async () => {
  const { code, stdout } = await run('a.ivit', 'same.ivit');
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: 'The same model: the hashes of their content are equal.\n',
  });
});

test('settings and scales that differ are named, and nothing else', async () => {
  const { code, stdout, stderr } = await run('a.ivit', 'b.ivit', '--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { same, facts, ops, sqnrDb } = JSON.parse(stdout);
  expect(same).toBe(false);
  expect(facts.filter(({ name }: { name: string }) => name !== 'bytes')).toEqual([
    { name: 'effort', a: model.provenance.settings['effort'] ?? null, b: 'best' },
  ]);
  expect(ops.map(({ name }: { name: string }) => name)).toEqual([linear.name]);
  expect(sqnrDb).toEqual([]);
  const text = await run('a.ivit', 'b.ivit');
  expect(text.stdout).toMatch(/^- a\.ivit\n\+ b\.ivit\n\nModel: \d differences?\n/);
  expect(text.stdout).toContain(`Ops: 1 difference\n  ${linear.name}\n    - linear `);
  for (const line of text.stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});

test('refuses what is no model', async () => {
  const { code, stderr } = await run('a.ivit', 'absent.ivit');
  expect(stderr).toMatch(/^error: absent\.ivit/);
  expect(code).toBe(3);
});
