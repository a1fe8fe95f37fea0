import { writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { C_OP_KINDS, cOpOf, keptBytes, scratchBytes } from '../../../src/export/c/ops/index.js';
import { planForC } from '../../../src/export/c/plan.js';
import type { CPlan } from '../../../src/export/c/types.js';
import type { Op, Program } from '../../../src/program/types.js';
import { bytesOf } from '../../../src/program/value.js';
import { anyProgram } from '../../engine/random-programs.js';
import { tinyIbertProgram, tinyPaperProgram, tinyProductProgram, tinyProgram } from '../../program/tiny.js';
import { HOST, exportProgram, run, unpack } from './compile.js';

interface Span {
  readonly op: number;
  readonly at: number;
  readonly bytes: number;
}

/** The spans of the arena that each step may write, but for its scratch memory. */
function ownSpans({ steps, stages, values, places, kept, tile }: CPlan): Span[] {
  return stages.flatMap(({ steps: members, segments }) =>
    members.flatMap((op): Span[] => {
      const { out } = steps[op];
      const { kind, offset, scaleOffset } = places[out];
      const mine = segments.filter((segment) => segment.steps.includes(op));
      const [first, end] = [Math.min(...mine.map((one) => one.first)), Math.max(...mine.map((one) => one.end))];
      const span = (at: number, pitch: number): Span =>
        kind === 'block'
          ? { op, at, bytes: pitch * Math.min(tile, end - first) }
          : { op, at: at + first * pitch, bytes: (end - first) * pitch };
      return [
        { op, at: kept[op], bytes: keptBytes(steps[op]) },
        ...(kind === 'out' ? [] : [span(offset, values[out].cols * bytesOf(values[out].out.type))]),
        ...(values[out].out.type === 'rows' ? [span(scaleOffset, 4)] : []),
      ];
    }),
  );
}

const list = (spans: readonly Span[]): string =>
  spans.map(({ op, at, bytes }) => `  {${op}, ${at}, ${bytes}},\n`).join('');

/** @returns bytes outside of their own that ops wrote; and by op the bytes of its scratch memory that it took */
async function guarded(program: Program, tile: number): Promise<{ foreign: string[]; taken: Map<number, number> }> {
  const plan = planForC(program, tile);
  const folder = unpack(await exportProgram(program, { tile }));
  const scratches = plan.steps.map((step, op) => ({ op, at: plan.scratch[op], bytes: scratchBytes(step) }));
  const header =
    `#include <stdint.h>\n#define OPS ${plan.steps.length}\nvoid guard_op(int op);\n` +
    `struct span {\n  int op;\n  uint32_t at, bytes;\n};\n#ifdef GUARD\n` +
    `static const struct span own[] = {\n${list(ownSpans(plan))}};\n` +
    `static const struct span scratches[] = {\n${list(scratches)}};\n#endif\n`;
  writeFileSync(path.join(folder, 'guard.h'), header);
  const hook = ['-DMODEL_HOOK=guard_op', '-include', 'guard.h', '-fno-strict-aliasing'];
  run(folder, HOST!, ['-O1', ...hook, '-c', 'model.c', 'model_weights.c']);
  const guard = path.join(import.meta.dirname, 'stubs', 'guard.c');
  run(folder, HOST!, ['-O1', '-DGUARD', '-I.', '-o', 'guarded', guard, 'model.o', 'model_weights.o']);
  const printed = run(folder, './guarded', []);
  return {
    foreign: printed.match(/^op .*$/gm) ?? [],
    taken: new Map([...printed.matchAll(/^scratch (\d+) (\d+)$/gm)].map(([, op, bytes]) => [+op, +bytes])),
  };
}

/** By kind of op: whether one of them took all of its scratch memory. */
const reached = new Map<string, boolean>();

async function check(program: Program, tile: number): Promise<void> {
  const { foreign, taken } = await guarded(program, tile);
  expect(foreign).toEqual([]);
  for (const [i, step] of planForC(program, tile).steps.entries()) {
    const bytes = scratchBytes(step);
    if (bytes === 0 || step.op === null || !taken.has(i)) continue;
    const { op } = step.op;
    reached.set(op, reached.get(op) === true || taken.get(i) === bytes);
  }
}

const kinds = C_OP_KINDS.filter((op) => cOpOf({ op } as Op).scratch !== undefined);

/** Programs that have every kind of op with scratch memory: the tiny ones, and random ones for the rest. */
function programs(): [string, Program][] {
  const found: [string, Program][] = [
    ['a ViT', tinyProgram()],
    ['the published kernels', tinyPaperProgram()],
    ["I-BERT's kernels", tinyIbertProgram()],
    ['products', tinyProductProgram()],
  ];
  // Of several each: what a program does not need of itself is not computed.
  const missing = new Map(kinds.map((op) => [op, 3]));
  const add = ({ ops }: Program): boolean => {
    const wanted = new Set(ops.map(({ op }) => op).filter((op) => (missing.get(op) ?? 0) > 0));
    for (const op of wanted) missing.set(op, missing.get(op)! - 1);
    return wanted.size > 0;
  };
  for (const [, program] of found) add(program);
  for (const program of fc.sample(anyProgram, { seed: 1, numRuns: 200 }))
    if (add(program)) found.push([program.ops.map(({ op }) => op).join(), program]);
  return found;
}

describe.skipIf(HOST === null)(
  'an op of exported C writes its result and its scratch memory, and no other byte',
  () => {
    test.each(programs())('%s', async (_name, program) => {
      for (const tile of [1, 3]) await check(program, tile);
    });

    test('random programs', async () => {
      await fc.assert(
        fc.asyncProperty(anyProgram, fc.integer({ min: 1, max: 9 }), (program, tile) => check(program, tile)),
        { numRuns: Number(process.env.IVIT_C_RUNS ?? 4) },
      );
    });

    test('the scratch memory of every op is as large as its kernel needs, and no larger', () => {
      expect([...reached].filter(([, isReached]) => !isReached)).toEqual([]);
      expect([...reached.keys()].sort()).toEqual(kinds.toSorted());
    });
  },
);
