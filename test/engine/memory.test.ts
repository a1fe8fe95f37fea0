/** What is counted of an op's memory is no less than what native code allocates for it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeHeader, encodeLayout, encodeSteps } from '../../src/engine/encode.js';
import { plannedBytes } from '../../src/engine/plan/budget.js';
import { planWork, workOfOp, workOfProgram, type Work } from '../../src/engine/plan/index.js';
import { GIANTS } from '../attacks/giants.js';
import { NATIVE } from './backends.js';
import { ALGEBRA_CASES } from './random-algebra.js';
import { MAP_CASES } from './random-map-ops.js';
import { CASES, type OpCase } from './random-ops.js';

/** Bytes of the lists of values, steps and stages, which only grow with the number of ops. */
const LISTS = 4096;

/** Loads the work where the program, and each of its contexts, may allocate `share` of what is counted. */
function load(work: Work, isa: string, threads: number, share = 1): void {
  const [name, rows, cols, blockBytes] = NATIVE!.describe(isa)!;
  const tile = { rows, cols, ...(blockBytes > 0 && { blockBytes }) };
  const plan = planWork(work, tile);
  const apart = threads > 1 ? Array.from({ length: threads }, () => 1) : [];
  const { constants, each } = plannedBytes(plan, work, { threads: [threads, ...apart], copies: 1, tile });
  const most = Math.floor(share * Math.max(constants, ...each)) + LISTS;
  const steps = encodeSteps(plan, work).map(({ words, constants: own }) => [words, own] as const);
  NATIVE!.close(NATIVE!.create(name, encodeHeader(plan, most), steps, encodeLayout(plan), threads));
}

describe.skipIf(NATIVE === null).each(NATIVE?.isas() ?? [])('%s', (isa) => {
  test.each(Object.entries({ ...CASES, ...ALGEBRA_CASES, ...MAP_CASES }))(
    'random ops: %s',
    (_, cases: fc.Arbitrary<OpCase>) => {
      fc.assert(
        fc.property(cases, fc.constantFrom(1, 2), ({ op, operands, input }, threads) =>
          load(workOfOp(op, operands, input), isa, threads),
        ),
        { numRuns: 60 },
      );
    },
  );

  test.each(Object.keys(GIANTS))('a large one: %s', (kind) => {
    for (const threads of [1, 3]) {
      const work = workOfProgram(GIANTS[kind](2 ** 8));
      load(work, isa, threads);
      expect(() => load(work, isa, threads, 0.001)).toThrow(/memory/);
    }
  });
});
