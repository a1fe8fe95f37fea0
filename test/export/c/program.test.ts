import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyProgram } from '../../engine/random-programs.js';
import { tinyPaperProgram, tinyProductProgram, tinyProgram } from '../../program/tiny.js';
import type { LayerNormOp, LinearOp, MixRowsOp, Program } from '../../../src/program/types.js';
import { HOST, STRICT, exportProgram, run, unpack } from './compile.js';

const RUNS = Number(process.env.IVIT_C_RUNS ?? 12);

/** Weighted sums of rows, made a block at a time beside the rows that later blocks read. */
function mixingProgram(): Program {
  const tiny = tinyProgram();
  const [patches, embed] = tiny.ops;
  const norm = tiny.ops.find((op) => op.op === 'layerNorm' && op.out.type === 'rows') as LayerNormOp;
  const fc1 = tiny.ops.find(({ name }) => name === 'fc1') as LinearOp;
  const taps = 2;
  const mixed: MixRowsOp = {
    ...{ op: 'mixRows', name: 'mixed', rows: 12, cols: 8, out: { type: 'i32' }, x: 2, taps },
    index: Int32Array.from({ length: 12 * taps }, (_, i) => ((i * 3) % 5) - 1),
    weight: Int16Array.from({ length: 12 * taps }, (_, i) => 9000 - 700 * i),
    ...{ multiplier: new Int32Array(8).fill(1 << 16), offset: new BigInt64Array(8), shift: 30 },
  };
  const ops = [patches, embed, mixed, { ...norm, rows: 12, x: 3 }, { ...fc1, rows: 12, x: 4, out: mixed.out }];
  return { ...tiny, ops, output: ops.length };
}

/** Compiles an export with the checks of undefined behaviour and of memory, and lets it compare its digests. */
async function check(program: Program, tile: number): Promise<void> {
  const folder = unpack(await exportProgram(program, { tile }));
  const flags = [...STRICT, '-O1', '-fsanitize=undefined,address', '-fno-sanitize-recover=all'];
  run(folder, HOST!, [...flags, '-c', 'model.c', 'model_weights.c']);
  run(folder, HOST!, [
    '-O1',
    '-fsanitize=undefined,address',
    '-o',
    'test',
    'model_test.c',
    'model.o',
    'model_weights.o',
  ]);
  expect(run(folder, './test', []).match(/: ok$/gm)).toHaveLength(3);
}

describe.skipIf(HOST === null)('exported C gives the integers of the engine, without undefined behaviour', () => {
  test.each([
    ['a ViT', tinyProgram()],
    ['the published kernels', tinyPaperProgram()],
    ['products', tinyProductProgram()],
  ])('%s', async (_name, program) => {
    for (const tile of [1, 3]) await check(program, tile);
  });

  test('weighted sums of rows, in blocks of any size', async () => {
    for (let tile = 1; tile <= 7; tile++) await check(mixingProgram(), tile);
  });

  test(
    'random programs',
    async () => {
      await fc.assert(
        fc.asyncProperty(anyProgram, fc.integer({ min: 1, max: 9 }), (program, tile) => check(program, tile)),
        { numRuns: RUNS },
      );
    },
    RUNS * 10_000,
  );
});
