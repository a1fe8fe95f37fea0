/** `.ivit` files: numbers of the program, tensors and the container changed, the hash computed anew. */
import fc from 'fast-check';
import { createReferenceEngine } from '../../src/engine/reference.js';
import type { EngineKind } from '../../src/engine/every.js';
import { Random } from '../../src/images/random.js';
import { decodeContainer, encodeContainer } from '../../src/program/container.js';
import { decodeModel, encodeModel, type IvitModel } from '../../src/program/model.js';
import { definitionOf } from '../../src/program/ops/index.js';
import type { Program } from '../../src/program/types.js';
import { rehashed, sha256, withHeader } from '../../test/attacks/rehash.js';
import { anyProgram } from '../../test/engine/random-programs.js';
import { tinyModel, tinyPaperProgram, tinyProductProgram, tinyProgram } from '../../test/program/tiny.js';
import { changeBytes, pick, type Recipe, type Target } from './target.js';

/** Memory that a mutated file may take; larger ones are refused. */
const MAX_MEMORY = 2 ** 26;
/** Files that ask for more work are not run. */
const MAX_WORK = 3e6;
const RANDOM_PROGRAMS = 60;

/** Numbers at which something changes. */
const EXTREMES = [
  ...[0, 1, -1, 2, 7, 8, 31, 32, 33, 62, 63, 64, 127, 128, 255, 256, 8192, 8193, 65535, 65536],
  ...[
    2 ** 24,
    2 ** 28,
    2 ** 28 + 1,
    2 ** 31 - 1,
    2 ** 31,
    -(2 ** 31),
    2 ** 32,
    2 ** 53 - 1,
    2 ** 53,
    -(2 ** 53),
    0.5,
    1e300,
  ],
];

export function ivitTarget(engines: readonly EngineKind[]): Target {
  const programs = fc.sample(anyProgram, { seed: 1, numRuns: RANDOM_PROGRAMS });
  const models = [tinyProgram(), tinyPaperProgram(), tinyProductProgram()].map(withoutLabels);
  const bases = [...models, ...programs.map(withoutLabels)].map((model) => encodeModel(model, sha256));
  return {
    name: 'ivit',
    bases: bases.length,
    make: ({ base, steps }: Recipe) =>
      steps.reduce<Uint8Array>((bytes, step) => changeFile(bytes, new Random(step)), bases[base]),
    use: (bytes) => useFile(bytes, engines),
  };
}

function withoutLabels(program: Program): IvitModel {
  const { height, width } = program.input;
  const model = tinyModel(program);
  return { ...model, labels: null, preprocess: { ...model.preprocess, size: { height, width } } };
}

function changeFile(bytes: Uint8Array, random: Random): Uint8Array {
  try {
    switch (random.integer(8)) {
      case 0:
        return changeBytes(bytes, random);
      case 1:
        return rehashed(changeBytes(bytes, random));
      case 2:
      case 3:
        return changeTensor(bytes, random);
      case 4:
        return withHeader(bytes, (json) => changeText(json, random));
      default:
        return withHeader(bytes, (json) => changeNumber(json, random));
    }
  } catch {
    return bytes; // what an earlier change broke cannot be changed so
  }
}

/** A number of the header, most of them in the program, becomes another. */
function changeNumber(json: string, random: Random): string {
  const numbers = [...json.matchAll(/-?\d+(\.\d+)?/g)];
  const { 0: text, index } = pick(random, numbers);
  const near = Number(text) + pick(random, [-1, 1, 2, -2]);
  const value = random.integer(3) === 0 ? near : pick(random, EXTREMES);
  return json.slice(0, index) + String(value) + json.slice(index + text.length);
}

/** A part between two commas or brackets is doubled, dropped or moved. */
function changeText(json: string, random: Random): string {
  const parts = json.split(/(?=[,{}[\]:])/);
  const [from, to] = [random.integer(parts.length), random.integer(parts.length)];
  const part = parts[from];
  if (random.integer(2) === 0) parts.splice(from, 1);
  if (random.integer(2) === 0) parts.splice(to, 0, part);
  return parts.join('');
}

function changeTensor(bytes: Uint8Array, random: Random): Uint8Array {
  const { metadata, tensors } = decodeContainer(Uint8Array.from(bytes));
  const copies = new Map([...tensors].map(([name, tensor]) => [name, { ...tensor, data: tensor.data.slice() }]));
  const { data } = pick(random, [...copies.values()]);
  const bits = 8 * data.BYTES_PER_ELEMENT;
  const top = 1n << BigInt(bits - 1);
  const values = [0n, 1n, -1n, top - 1n, -top, 1n - top, top >> 1n, -(top >> 1n), BigInt(random.uint32())];
  for (let i = random.integer(3); i >= 0; i--) {
    const value = BigInt.asIntN(bits, pick(random, values));
    const at = random.integer(Math.max(1, data.length));
    if (data instanceof BigInt64Array) data[at] = value;
    else data[at] = Number(value);
  }
  return rehashed(encodeContainer({ metadata, tensors: copies as never }));
}

/** One in so many accepted files is run: that takes as long as refusing a dozen others. */
const RUN_EVERY = 3;

/** Reads a file; runs what is accepted on the reference and on another engine, which must agree. */
async function useFile(bytes: Uint8Array, engines: readonly EngineKind[]): Promise<boolean> {
  const random = new Random(bytes.reduce((sum, byte) => (Math.imul(sum, 31) + byte) | 0, 0));
  const { program } = decodeModel(Uint8Array.from(bytes), sha256, { maxMemory: MAX_MEMORY });
  if (workOf(program) > MAX_WORK || engines.length === 0 || random.integer(RUN_EVERY) > 0) return true;
  const { height, width, channels } = program.input;
  const images = [0, 255, 97].map((step) =>
    Uint8Array.from({ length: height * width * channels }, (_, i) => (step === 97 ? i * step : step)),
  );
  const { name, create } = pick(random, engines);
  const expected = await createReferenceEngine(program).runAll(images);
  const engine = create(program, 1, { maxMemory: MAX_MEMORY });
  try {
    const found = await engine.runAll(images);
    expected.forEach((logits, i) => {
      if (!logits.every((logit, n) => logit === found[i][n])) throw new Error(`${name} differs from the reference`);
    });
  } finally {
    await engine.close();
  }
  return true;
}

function workOf(program: Program): number {
  return program.ops.reduce((sum, op) => sum + (definitionOf(op).macs?.(op) ?? 0) + op.rows * op.cols, 0);
}
