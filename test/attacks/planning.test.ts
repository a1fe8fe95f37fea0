/** Small valid files whose rows are so scattered that a plan which told all of them apart would take minutes. */
import { expect, test } from 'vitest';
import { everyEngine } from '../../src/engine/every.js';
import { planWork, workOfProgram } from '../../src/engine/plan/index.js';
import { createReferenceEngine } from '../../src/engine/reference.js';
import { decodeModel } from '../../src/program/model.js';
import type { Op, Program } from '../../src/program/types.js';
import { fileOf, SCATTERED } from './giants.js';
import { sha256 } from './rehash.js';
import { processorTime } from '../processor-time.js';

const TILE = { rows: 6, cols: 64 };

test.each([
  ['side by side', 1000, 16384],
  ['one after another', 20_000, 8192],
  ['of other columns each', 250, 4096],
])('%s, %i ops: planned in seconds', (shape, count, rows) => {
  const { program } = decodeModel(fileOf(SCATTERED[shape](count, rows)), sha256);
  const start = processorTime();
  planWork(workOfProgram(program), TILE);
  expect(processorTime() - start).toBeLessThan(10_000);
});

test.each([
  ['side by side', 600, 16384],
  ['side by side', 5, 1024],
  ['one after another', 600, 8192],
  ['of other columns each', 20, 1024],
])('%s, %i ops, of %i rows: run alike everywhere, rows told apart or not', async (shape, count, rows) => {
  const { program } = decodeModel(fileOf(SCATTERED[shape](count, rows)), sha256);
  const pixels = [Uint8Array.from({ length: 192 }, (_, i) => (i * 73) & 255)];
  const expected = await createReferenceEngine(program).runAll(pixels);
  for (const { name, create } of await everyEngine()) {
    const engine = create(program, 2);
    expect(await engine.runAll(pixels), name).toEqual(expected);
    await engine.close();
  }
});

/** Sums of sums, of which every 32nd row is taken: as many runs of rows as blocks, in every step. */
function everyFew(rows: number, sums: number): Program {
  const out = { type: 'i32' } as const;
  const data = Int32Array.from({ length: rows }, (_, i) => i);
  const picked = Int32Array.from({ length: rows / 32 }, (_, i) => 32 * i);
  return {
    input: { height: 1, width: 1, channels: 1 },
    ops: [
      { op: 'constant', name: 'numbers', rows, cols: 1, out, data },
      ...Array.from({ length: sums }, (_, i): Op => ({
        ...{ op: 'add', name: `sum ${i}`, rows, cols: 1, out },
        ...{ a: i + 1, b: 1 },
      })),
      {
        ...{ op: 'gather', name: 'few', rows: picked.length, cols: 1, out },
        ...{ sources: [sums + 1], piece: 1, index: picked, fill: 0 },
      },
    ],
    output: sums + 2,
  };
}

test('a run is found among many others: the time is not as the square of their number', async () => {
  const program = everyFew(2 ** 20, 12);
  const expected = await createReferenceEngine(program).run(new Uint8Array(1));
  for (const { name, create } of await everyEngine()) {
    const engine = create(program, 1);
    const start = processorTime();
    const found = await engine.run(new Uint8Array(1));
    expect(processorTime() - start, name).toBeLessThan(4000);
    expect(Buffer.compare(Buffer.from(found.buffer), Buffer.from(expected.buffer)), name).toBe(0);
    await engine.close();
  }
});
