/** C99 without floats, libc or malloc. */
import { createHash } from 'node:crypto';
import { createEngine } from '../../engine/engine.js';
import { digestOf } from '../../metrics/output-digest.js';
import type { Program } from '../../program/types.js';
import type { Exported, ExportInput, ExportTarget, OpBytes } from '../target.js';
import { Constants } from './constants.js';
import {
  headerText,
  kernelsText,
  makefileText,
  markFile,
  memoryText,
  programText,
  testText,
  weightsAssembly,
  weightsCheck,
  weightsHeader,
  weightsText,
  type CNames,
} from './files.js';
import { C_OP_KINDS } from './ops/index.js';
import { ARENA_SLACK } from './place.js';
import { planForC } from './plan.js';
import { writeProgram } from './program.js';
import { isReserved } from './reserved.js';
import type { CPlan } from './types.js';

/** Rows of a block, where nobody says: the most of these that take little more memory than one row at a time. */
const TILES = [16, 8, 4, 2];
const MORE_MEMORY = 16;

/** Images of the test program. */
const TEST_IMAGES = 3;

export const cTarget: ExportTarget = {
  describes: 'C99 without floats, libc or malloc: a folder',
  writes: 'folder',
  options: ['weights', 'tile'],
  isReserved,
  plansMemory: true,
  ops: C_OP_KINDS,
  write: writeC,
};

async function writeC({ model, name, options }: ExportInput): Promise<Exported> {
  const { program } = model;
  const plan = options.tile === undefined ? choosePlan(program) : planForC(program, options.tile);
  const { weights = 'c' } = options;
  const names: CNames = { name, macro: name.toUpperCase() };
  const constants = new Constants(name);
  const text = writeProgram(plan, constants);
  const output = program.ops[program.output - 1];
  const outputs = output.rows * output.cols;
  const arenaBytes = plan.arenaBytes + ARENA_SLACK;
  const binary = weights === 'bin' ? constants.binary() : null;
  const copy = output.op === 'constant' ? copyOutput(plan, constants, outputs) : '';
  const files = new Map<string, string | Uint8Array>([
    [`${name}.h`, headerText(names, { model, outputs, arenaBytes, weightBytes: constants.bytes })],
    [`${name}.c`, programText(names, text, binary === null ? null : weightsCheck(names, binary.hash), copy)],
    [`${name}_kernels.h`, kernelsText(names, text.kernels)],
    [`${name}_weights.h`, weightsHeader(names, constants, binary !== null)],
    [`${name}_memory.c`, memoryText(names)],
    [`${name}_test.c`, testText(names, await goldenDigests(program))],
  ]);
  if (binary !== null) {
    files.set(`${name}_weights.bin`, binary.bytes);
    files.set(`${name}_weights.S`, weightsAssembly(names));
  } else {
    files.set(`${name}_weights.c`, weightsText(names, constants, weights === 'section'));
  }
  const sources =
    binary !== null ? `${name}_weights.S ${name}_weights.bin` : `${name}_weights.c ${name}_weights.h ${name}.h`;
  files.set('Makefile', makefileText(names, sources));
  return {
    files: marked(files),
    summary: [
      ['arena', `${arenaBytes} bytes, blocks of ${plan.tile} rows`],
      ['weights', `${constants.bytes} bytes, read-only`],
      ['check', 'make test, in that folder'],
    ],
    memory: memoryOf(plan),
  };
}

/** The files with a number that tells them from those of other exports, so that no compiler takes some of each. */
function marked(files: ReadonlyMap<string, string | Uint8Array>): Map<string, string | Uint8Array> {
  const hash = createHash('sha256');
  for (const content of files.values()) hash.update(content);
  const id = `0x${hash.digest('hex').slice(0, 8)}u`;
  return new Map(
    [...files].map(([at, content]) => [at, typeof content === 'string' ? markFile(content, id) : content]),
  );
}

/** A model whose output does not depend on the image. */
function copyOutput(plan: CPlan, constants: Constants, outputs: number): string {
  const index = plan.steps.findIndex(({ out }) => out === plan.work.output);
  const { op } = plan.steps[index];
  const from = op?.op === 'constant' ? constants.add(`${index}_data`, op.data) : 'NULL';
  return `  for (int32_t i = 0; i < ${outputs}; i++) out[i] = ${from}[i];\n`;
}

function choosePlan(program: Program): CPlan {
  const least = planForC(program, 1);
  const room = least.arenaBytes * (MORE_MEMORY + 1);
  for (const tile of TILES) {
    const plan = planForC(program, tile);
    if (plan.arenaBytes * MORE_MEMORY <= room) return plan;
  }
  return least;
}

function memoryOf({ bytes, steps }: CPlan): OpBytes[] {
  return bytes.map(({ step, bytes: own }) => {
    const { op } = steps[step];
    const before = op === null ? steps.find(({ out }) => steps[step].operands.includes(out))?.op : op;
    return { name: before?.name ?? '', op: op?.op ?? 'quantize', bytes: own };
  });
}

/** What the test program must give: see native/export/test_main.c. */
async function goldenDigests(program: Program): Promise<string[]> {
  const engine = await createEngine(program, { threads: 1 });
  try {
    const digests: string[] = [];
    for (let i = 1; i <= TEST_IMAGES; i++) {
      digests.push(digestOf(await engine.run(testPixels(program, i))));
    }
    return digests;
  } finally {
    await engine.close();
  }
}

/** Pixels of test image `number`, from 1 on: xorshift32. */
function testPixels({ input: { height, width, channels } }: Program, number: number): Uint8Array {
  let x = Math.imul(number, 0x9e3779b9);
  return Uint8Array.from({ length: height * width * channels }, () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 24;
  });
}
