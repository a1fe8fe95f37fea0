import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyProgram } from '../../engine/random-programs.js';
import { tinyPaperProgram, tinyProductProgram, tinyProgram } from '../../program/tiny.js';
import type { Program } from '../../../src/program/types.js';
import { HOST, STRICT, exportProgram, run, unpack } from './compile.js';

const RUNS = Number(process.env.IVIT_C_RUNS ?? 12);

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

  test(
    'random programs',
    async () => {
      await fc.assert(
        fc.asyncProperty(anyProgram, fc.integer({ min: 1, max: 9 }), (program, tile) => check(program, tile)),
        { numRuns: RUNS, seed: Number(process.env.IVIT_C_SEED ?? 1) },
      );
    },
    RUNS * 10_000,
  );
});
