import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyProgram } from '../../engine/random-programs.js';
import { tinyIbertProgram, tinyPaperProgram, tinyProductProgram, tinyProgram } from '../../program/tiny.js';
import type { LayerNormOp, LinearOp, Op, PatchesOp, Program } from '../../../src/program/types.js';
import { HOST, STRICT, exportProgram, run, unpack } from './compile.js';

const RUNS = Number(process.env.IVIT_C_RUNS ?? 12);

/** The tiny ViT's embedding, then ops of one's own, then a norm of dynamic rows and a linear layer. */
function embeddedProgram(own: (embed: LinearOp) => readonly Op[], rows: number): Program {
  const tiny = tinyProgram();
  const [patches, embed] = tiny.ops as [PatchesOp, LinearOp];
  const norm = tiny.ops.find((op) => op.op === 'layerNorm' && op.out.type === 'rows') as LayerNormOp;
  const fc1 = tiny.ops.find(({ name }) => name === 'fc1') as LinearOp;
  const before = [patches, embed, ...own(embed)];
  const after = [
    { ...norm, rows, x: before.length },
    { ...fc1, rows, x: before.length + 1, out: embed.out },
  ];
  return { ...tiny, ops: [...before, ...after], output: before.length + after.length };
}

/** Weighted sums of rows, made a block at a time beside the rows that later blocks read. */
const mixing = embeddedProgram(({ out }) => {
  const [rows, taps, cols] = [12, 2, 8];
  return [
    {
      ...{ op: 'mixRows', name: 'mixed', rows, cols, out, x: 2, taps },
      index: Int32Array.from({ length: rows * taps }, (_, i) => ((i * 3) % 5) - 1),
      weight: Int16Array.from({ length: rows * taps }, (_, i) => 9000 - 700 * i),
      ...{ multiplier: new Int32Array(cols).fill(1 << 16), offset: new BigInt64Array(cols), shift: 30 },
    },
  ];
}, 12);

/** Rows of two values laid end to end, of which nobody reads those of the second. */
const halfRead = embeddedProgram((embed) => {
  const gather = { op: 'gather', name: 'joined', cols: 8, out: embed.out, piece: 8, fill: 0 } as const;
  return [
    { ...embed, name: 'unread', bias: embed.bias.map((b) => b + 1) },
    { ...gather, rows: 6, sources: [2, 3], index: Int32Array.of(0, 1, 4, 5, 6, 7) },
    { ...gather, name: 'taken', rows: 2, sources: [4], index: Int32Array.of(1, 0) },
  ];
}, 2);

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
    ["I-BERT's kernels", tinyIbertProgram()],
    ['products', tinyProductProgram()],
  ])('%s', async (_name, program) => {
    for (const tile of [1, 3]) await check(program, tile);
  });

  test.each([
    ['weighted sums of rows', mixing],
    ['rows of a value that is not computed', halfRead],
  ])('%s, in blocks of any size', async (_name, program) => {
    for (let tile = 1; tile <= 7; tile++) await check(program, tile);
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

test.skipIf(HOST === null)('files of different exports are not compiled together', async () => {
  const [a, b] = [await exportProgram(tinyProgram(), { tile: 1 }), await exportProgram(tinyProgram(), { tile: 2 })];
  for (const name of ['model.h', 'model_kernels.h', 'model_weights.h', 'model_weights.c', 'model_test.c']) {
    const folder = unpack({ files: new Map([...a.files, [name, b.files.get(name)!]]) });
    const compile = () => run(folder, HOST!, ['-fsyntax-only', 'model.c', 'model_weights.c', 'model_test.c']);
    expect(compile, name).toThrow(/These files are of different exports/);
  }
});
