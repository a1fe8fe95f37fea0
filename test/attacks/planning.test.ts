/** Small valid files whose rows are so scattered that a plan which told all of them apart would take minutes. */
import { expect, test } from 'vitest';
import { everyEngine } from '../../src/engine/every.js';
import { planWork, workOfProgram } from '../../src/engine/plan/index.js';
import { createReferenceEngine } from '../../src/engine/reference.js';
import { decodeModel } from '../../src/program/model.js';
import { fileOf, SCATTERED } from './giants.js';
import { sha256 } from './rehash.js';

const TILE = { rows: 6, cols: 64 };

test.each([
  ['side by side', 1000, 16384],
  ['one after another', 20_000, 8192],
  ['of other columns each', 250, 4096],
])('%s, %i ops: planned in seconds', (shape, count, rows) => {
  const { program } = decodeModel(fileOf(SCATTERED[shape](count, rows)), sha256);
  const start = performance.now();
  planWork(workOfProgram(program), TILE);
  expect(performance.now() - start).toBeLessThan(10_000);
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
