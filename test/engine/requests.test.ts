/**
 * What an op asks of its operands: the rows that a plan does not compute must not be seen by the rows that are wanted.
 * All that is not asked for is spoilt, and the wanted rows must come out the same.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { requestOperands } from '../../src/engine/plan/uses.js';
import type { Run, Step } from '../../src/engine/plan/types.js';
import { closeGaps } from '../../src/engine/plan/runs.js';
import { createReferenceEngine, runOp } from '../../src/engine/reference.js';
import { everyEngine } from '../../src/engine/every.js';
import { allocate } from '../../src/engine/values.js';
import type { Value } from '../../src/engine/types.js';
import type { Op, Program } from '../../src/program/types.js';
import { ALGEBRA_CASES } from './random-algebra.js';
import { MAP_CASES } from './random-map-ops.js';
import { CASES, Data, assertComplete, type OpCase } from './random-ops.js';

/** The operands, other numbers standing wherever nobody asked for one. */
function spoilt({ op, operands }: OpCase, runs: readonly Run[], data: Data): Value[] {
  const wanted = operands.map(({ rows, cols }) => new Uint8Array(rows * cols));
  const step: Step & { op: Op } = { op, out: operands.length, operands: operands.map((_, i) => i) };
  const values = [...operands, op].map(({ out, rows, cols }) => ({ out, rows, cols }));
  requestOperands(step, runs, values, (id, asked, [n0, n1] = [0, values[id].cols]) => {
    const { cols } = values[id];
    for (const [first, end] of asked)
      for (let r = first; r < end; r++) wanted[id].fill(1, r * cols + n0, r * cols + n1);
  });
  return operands.map((operand, id) => {
    const other = data.value(operand.out, operand.rows, operand.cols);
    const mixed = { ...allocate(operand), out: operand.out };
    mixed.data.forEach((_, i) => (mixed.data[i] = (wanted[id][i] === 1 ? operand : other).data[i]));
    mixed.rowScale?.forEach((_, r) => {
      mixed.rowScale![r] = (wanted[id][r * operand.cols] === 1 ? operand : other).rowScale![r];
    });
    return mixed;
  });
}

describe('what is not asked for is not seen', () => {
  it.each(Object.entries({ ...CASES, ...ALGEBRA_CASES, ...MAP_CASES }))('%s', (_, cases: fc.Arbitrary<OpCase>) => {
    fc.assert(
      fc.property(cases, fc.integer(), (c, seed) => {
        assertComplete(c);
        const data = new Data(seed);
        const { rows, cols } = c.op;
        const picked = Array.from({ length: data.integer(1, 4) }, (): Run => {
          const first = data.integer(0, rows - 1);
          return [first, data.integer(first, Math.min(rows - 1, first + 2)) + 1];
        });
        const runs = closeGaps(picked, 1);
        const expected = runOp(c.op, c.operands, c.input);
        const found = runOp(c.op, spoilt(c, runs, data), c.input);
        for (const [first, end] of runs)
          expect(found.data.subarray(first * cols, end * cols)).toEqual(
            expected.data.subarray(first * cols, end * cols),
          );
      }),
      { numRuns: 200 },
    );
  });
});

/** Some windows of a map, taken so that the pixels of a later run of them begin before those of an earlier one. */
function someWindows(op: 'windows' | 'depthwise' | 'maxPool'): Program {
  const [height, width] = [3, 200];
  const rows = height * width;
  const taps = op === 'windows' ? 9 : 1;
  const wide = { type: 'i32' } as const;
  const requantization = { multiplier: Int32Array.of(2), offset: new BigInt64Array(1), shift: 1 };
  const pair = (n: number): [number, number] => [n, n];
  const geometry = { kernel: pair(3), stride: pair(1), pad: pair(1), dilation: pair(1) };
  const map = { ...geometry, size: [height, width] as const, outSize: [height, width] as const };
  const common = { name: 'windows', rows, cols: taps, out: wide, x: 2, ...map };
  const data = Int32Array.from({ length: rows }, (_, i) => 1000 + 3 * (rows - i));
  const made: Op =
    op === 'depthwise' ? { op, ...common, weight: new Int16Array(9).fill(1), ...requantization } : { op, ...common };
  return {
    input: { height: 1, width: 1, channels: 1 },
    ops: [
      { op: 'constant', name: 'numbers', rows, cols: 1, out: wide, data },
      {
        ...{ op: 'rescale', name: 'map', rows, cols: 1, x: 1, ...requantization },
        out: { type: op === 'depthwise' ? 'i16' : 'i32' },
      },
      made,
      {
        ...{ op: 'gather', name: 'some', rows: 4, cols: taps, out: wide, sources: [3], piece: taps, fill: 0 },
        index: Int32Array.of(width / 2, width / 2 + 1, width - 1, width),
      },
    ],
    output: 4,
  };
}

it.each(['windows', 'depthwise', 'maxPool'] as const)('%s over the end of a line: alike everywhere', async (op) => {
  const program = someWindows(op);
  const expected = await createReferenceEngine(program).run(new Uint8Array(1));
  for (const { name, create } of await everyEngine()) {
    const engine = create(program, 1);
    expect(await engine.run(new Uint8Array(1)), name).toEqual(expected);
    await engine.close();
  }
});
