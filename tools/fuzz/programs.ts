/**
 * Random valid programs whose numbers are driven to extremes, as far as the proof lets them: every engine must agree
 * with the reference, and the reference, on the ops that src/kernels computes in 32 or 53 bits, with integers of
 * unlimited size.
 */
import fc from 'fast-check';
import { createReferenceEngine } from '../../src/engine/reference.js';
import type { EngineKind } from '../../src/engine/every.js';
import { InputError } from '../../src/errors.js';
import { Random } from '../../src/images/random.js';
import { checkMemory } from '../../src/program/budget.js';
import { proveBounds } from '../../src/program/bounds.js';
import type { Op, Program } from '../../src/program/types.js';
import { validateProgram } from '../../src/program/validate.js';
import { anyProgram } from '../../test/engine/random-programs.js';
import { compareWithBigIntegers } from './big-integers.js';
import { pick, type Target } from './target.js';

const PROGRAMS = 400;

export function programTarget(engines: readonly EngineKind[]): Target {
  const programs = fc.sample(anyProgram, { seed: 7, numRuns: PROGRAMS });
  return {
    name: 'programs',
    bases: programs.length,
    // The bytes are the recipe: the program is made where it is used.
    make: ({ base, steps }) => Buffer.from(JSON.stringify([base, ...steps])),
    async use(bytes) {
      const [base, ...steps] = JSON.parse(Buffer.from(bytes).toString()) as [number, ...number[]];
      const program = steps.reduce((made, step) => driven(made, new Random(step)), programs[base]);
      validateProgram(program);
      proveBounds(program);
      checkMemory(program);
      await compareEngines(program, engines, steps[0] ?? 0);
      return true;
    },
  };
}

/** So many programs, each driven to its extremes twice. */
export function extremePrograms(count: number, seed: number): Program[] {
  return fc
    .sample(anyProgram, { seed, numRuns: count })
    .map((program, i) => [1, 2].reduce((made, k) => driven(made, new Random(Math.imul(seed + k, 7919) ^ i)), program));
}

/** The program with some numbers of some ops at their extremes; unchanged where the proof refuses that. */
function driven(program: Program, random: Random): Program {
  let current = program;
  for (let i = 0; i < 6; i++) {
    const at = random.integer(current.ops.length);
    const ops = current.ops.map((op, k) => (k === at ? extreme(op, random) : op));
    // Tied weights stay tied.
    const tied = ops.map((op) =>
      op.op === 'linear' && op.weightsOf !== undefined
        ? { ...op, weight: (ops[op.weightsOf] as typeof op).weight }
        : op,
    );
    const changed = { ...current, ops: tied };
    if (isValid(changed)) current = changed;
  }
  return current;
}

function isValid(program: Program): boolean {
  try {
    validateProgram(program);
    proveBounds(program);
    return true;
  } catch (error) {
    if (error instanceof InputError) return false;
    throw error;
  }
}

function extreme(op: Op, random: Random): Op {
  const fields = Object.entries(op).filter(([, value]) => typeof value === 'number' || ArrayBuffer.isView(value));
  const [field, value] = pick(random, fields);
  if (['x', 'rows', 'cols', 'a', 'b', 'weightsOf'].includes(field)) return op;
  if (field === 'shift' || field === 'scoreShift')
    return { ...op, [field]: pick(random, [1, 2, 30, 31, 32, 33, 34, 61, 62]) } as Op;
  if (field === 'rowShift') return { ...op, rowShift: pick(random, [0, 1, 15, 30, 31]) } as Op;
  if (typeof value === 'number') return { ...op, [field]: value + pick(random, [-1, 1]) } as Op;
  const data = (value as Int32Array).slice();
  const bits = BigInt(8 * data.BYTES_PER_ELEMENT - 1);
  const most = (1n << bits) - 1n;
  const values = [
    most,
    -most,
    most - 1n,
    0n,
    1n,
    -1n,
    most >> 1n,
    1n << (bits - 1n),
    -(most >> 1n),
    127n,
    -127n,
    most >> 8n,
  ];
  const fill = random.integer(3);
  for (let i = 0; i < data.length; i++) {
    if (fill === 0 && random.integer(4) > 0) continue;
    const next = fill === 1 ? values[0] : pick(random, values);
    if ((data as unknown) instanceof BigInt64Array) (data as unknown as BigInt64Array)[i] = next;
    else data[i] = Number(next);
  }
  return { ...op, [field]: data } as Op;
}

async function compareEngines(program: Program, engines: readonly EngineKind[], seed: number): Promise<void> {
  const { height, width, channels } = program.input;
  const random = new Random(seed);
  const images = [() => 0, () => 255, () => 255 * random.integer(2), () => random.integer(256)].map((pixel) =>
    Uint8Array.from({ length: height * width * channels }, pixel),
  );
  const expected = await createReferenceEngine(program).runAll(images);
  compareWithBigIntegers(program, images[3]);
  for (const { name, create } of engines)
    for (const threads of [1, 2]) {
      if (threads === 2 && (random.integer(8) > 0 || name.startsWith('wasm'))) continue;
      const engine = create(program, threads);
      try {
        const found = await engine.runAll(images);
        expected.forEach((logits, i) => {
          if (!logits.every((logit, n) => logit === found[i][n]))
            throw new Error(`${name} with ${threads} threads differs from the reference`);
        });
      } finally {
        await engine.close();
      }
    }
}
