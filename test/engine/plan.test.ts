import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEIT_TINY, syntheticVit } from '../../tools/measure/synthetic-vit.js';
import { bytesOf } from '../../src/program/value.js';
import { planWork, workOfProgram } from '../../src/engine/plan/index.js';
import type { Plan } from '../../src/engine/plan/index.js';
import { describeTimes } from '../../src/engine/profile.js';
import { anyProgram } from './random-programs.js';

const TILE = { rows: 6, cols: 64 };
const multiplications = (plan: Plan): number =>
  describeTimes(plan, new BigInt64Array(plan.steps.length)).reduce((sum, step) => sum + step.multiplications, 0);

describe('the plan of DeiT-Tiny', () => {
  const plan = planWork(workOfProgram(syntheticVit(DEIT_TINY)), TILE);
  const usesOf = (name: string) =>
    plan.stages.flatMap(({ uses }) => uses.filter(({ step }) => plan.steps[step].op?.name.startsWith(`${name}.`)));
  const lastBlock = 6 + 11 * 8;

  it('computes in the last block the keys and values of all tokens, the rest of the class token alone', () => {
    const [all, first] = [[[0, 197]], [[0, 1]]];
    expect(usesOf(`${lastBlock + 1}`)).toMatchObject([
      { n0: 0, n1: 192, runs: first },
      { n0: 192, n1: 576, runs: all },
    ]);
    for (let op = lastBlock + 2; op < lastBlock + 8; op++) expect(usesOf(`${op}`)).toMatchObject([{ runs: first }]);
    expect(usesOf(`${lastBlock}`)).toMatchObject([{ runs: all }]);
    expect(usesOf(`${lastBlock - 1}`)).toMatchObject([{ runs: all }]);
  });

  it('spares the multiply-adds of 196 tokens there, all but those of keys and values', () => {
    const block = 197 * 192 * (4 * 192 + 2 * 768) + 2 * 197 * 197 * 192;
    const whole = 196 * 768 * 192 + 12 * block + 192 * 1000;
    const spared = 196 * 192 * (2 * 192 + 2 * 768) + 2 * 196 * 197 * 192;
    expect(multiplications(plan)).toBe(whole - spared);
  });

  it('has two stages a block, and keeps what lies between in the threads own memory', () => {
    expect(plan.stages.length).toBeLessThanOrEqual(2 * 12 + 3);
    expect(plan.localBytes).toBeLessThan(400_000);
    expect(plan.arenaBytes).toBeLessThan(1_100_000);
  });
});

/** Whether a step leaves the rows of its sources where they are, but for gaps that another fills. */
const keepsRows = ({ op, operands }: Plan['steps'][number], { values }: Plan): boolean => {
  if (op?.op !== 'gather' || op.piece !== op.cols) return false;
  const places = operands.flatMap((id) =>
    values[id].cols === op.cols ? Array.from({ length: values[id].rows }, (_, r) => r) : [],
  );
  return op.index.every((piece, r) => places[piece] === r);
};

/** Kinds of ops that read rows other than their own. */
const READS_OTHER_ROWS = new Set([
  ...['attention', 'gather', 'meanRows', 'windows', 'depthwise', 'maxPool', 'mixRows', 'groupNorm'],
]);

describe('any plan', () => {
  it('never lets two values that are alive together share memory', () => {
    fc.assert(
      fc.property(anyProgram, (program) => {
        const plan = planWork(workOfProgram(program), TILE);
        const made = new Map([[0, -1]]);
        const read = new Map([[program.output, plan.stages.length]]);
        plan.stages.forEach(({ uses }, s) =>
          uses.forEach(({ step }) => {
            const { out, operands } = plan.steps[step];
            made.set(out, s);
            for (const id of operands) read.set(id, Math.max(s, read.get(id) ?? s));
          }),
        );
        // What replaces rows of a value that nobody else reads may lie in its place.
        const replaces = (a: number, b: number) =>
          plan.steps.some((step) => step.out === a && step.operands.at(-1) === b && keepsRows(step, plan));
        const alive = plan.places.flatMap(({ place, offset }, id) => {
          if (place !== 'arena' || !made.has(id)) return [];
          const { rows, cols, out } = plan.values[id];
          return [
            {
              id,
              from: offset,
              to: offset + rows * cols * bytesOf(out.type),
              first: made.get(id) as number,
              last: read.get(id) ?? -1,
            },
          ];
        });
        for (const [i, a] of alive.entries()) {
          expect(a.to).toBeLessThanOrEqual(plan.arenaBytes);
          for (const b of alive.slice(0, i)) {
            const isReplaced = a.from === b.from && (replaces(a.id, b.id) || replaces(b.id, a.id));
            expect(isReplaced || a.first > b.last || b.first > a.last || a.to <= b.from || b.to <= a.from).toBe(true);
          }
        }
      }),
    );
  });

  it('makes every value before a stage that reads it in another order', () => {
    fc.assert(
      fc.property(anyProgram, (program) => {
        const plan = planWork(workOfProgram(program), TILE);
        const done = new Set<number>([0]);
        plan.steps.forEach((step) => step.op?.op === 'constant' && done.add(step.out));
        // A source that a gather takes no piece of is not made at all.
        const made = new Set(plan.stages.flatMap(({ uses }) => uses.map(({ step }) => plan.steps[step].out)));
        for (const { uses } of plan.stages) {
          const here = uses.map(({ step }) => plan.steps[step]);
          for (const step of here) {
            const { op, operands } = step;
            if (keepsRows(step, plan)) continue;
            if (op !== null && READS_OTHER_ROWS.has(op.op)) {
              for (const id of operands) expect(done.has(id) || !made.has(id)).toBe(true);
            }
            if (op?.op === 'matmul') expect(done.has(operands[1])).toBe(true);
            if (op?.op === 'rotate') {
              for (const id of operands.slice(1)) expect(done.has(id) || plan.values[id].rows === op.rows).toBe(true);
            }
            if ((op?.op === 'multiply' || op?.op === 'divide') && plan.values[operands[1]].rows < op.rows)
              expect(done.has(operands[1])).toBe(true);
          }
          for (const { out } of here) done.add(out);
        }
        expect(done.has(program.output)).toBe(true);
      }),
    );
  });
});
