import { defaultRuntime, openFloatModel } from '../calibrate/runtime.js';
import { createEngine } from '../engine/engine.js';
import type { BackendName } from '../engine/types.js';
import { Random } from '../images/random.js';
import { syntheticImage } from '../images/synthetic/index.js';
import type { MemoryOptions } from '../program/budget.js';
import type { Program } from '../program/types.js';
import { quantizeConvolutions } from './int8-convolutions.js';
import { quantizeForOnnxRuntime } from './int8-onnx.js';
import type { FloatInputs } from './onnx-parts.js';
import type { Contender } from './measure.js';

/** An integer program on one backend. */
export async function integerContender(
  program: Program,
  precision: string,
  backend: BackendName,
  { threads, maxMemory }: MemoryOptions & { readonly threads: number },
): Promise<Contender> {
  const engine = await createEngine(program, { backend, threads, maxMemory });
  const pixels = noise(program.input);
  return {
    runtime: `ivit ${backend} (${engine.isa})`,
    precision,
    threads,
    sqnrDb: null,
    run: () => engine.run(pixels),
    runMany: (count) => engine.runAll(Array.from({ length: count }, () => pixels)),
    close: () => engine.close(),
  };
}

/** Pixels for timing: how long an image takes does not depend on what it shows. */
export function noise({ height, width, channels }: Program['input'], seed = 1): Uint8Array {
  const random = new Random(seed);
  return Uint8Array.from({ length: height * width * channels }, () => random.integer(256));
}

/** One form of the float model, as a path or as bytes. */
export interface OnnxForm {
  readonly precision: string;
  readonly model: string | Uint8Array;
  /** How near it is to the float model, in dB, on an image that no range was taken from; null: it is that model. */
  readonly sqnrDb: number | null;
}

/** The float model in the forms that ONNX Runtime can run. */
export interface OnnxForms {
  readonly forms: readonly OnnxForm[];
  readonly inputs: FloatInputs;
}

/** Images that the static ranges come from. */
const CALIBRATION_IMAGES = 4;

/**
 * @param path the float model
 * @param input the image that it takes, as the integer model does
 * @param onNotice told of forms that cannot be written
 */
export async function onnxForms(
  path: string,
  input: Program['input'],
  onNotice: (text: string) => void,
): Promise<OnnxForms> {
  const float = await openFloatModel(path);
  try {
    const inputsOf = (seed: number): FloatInputs => ({ [float.inputNames[0]]: photograph(input, seed) });
    const samples = Array.from({ length: CALIBRATION_IMAGES }, (_, i) => inputsOf(i + 1));
    const inputs = inputsOf(CALIBRATION_IMAGES + 1);
    const expected = await float.run(inputs);
    const forms: OnnxForm[] = [{ precision: 'float', model: path, sqnrDb: null }];
    const add = async (precision: string, write: () => Promise<Uint8Array | null>): Promise<void> => {
      try {
        const model = await write();
        if (model !== null) forms.push({ precision, model, sqnrDb: await compareOutputs(model, inputs, expected) });
      } catch (error) {
        onNotice(`${precision} is left out: ${(error as Error).message.split('\n')[0]}`);
      }
    };
    for (const way of ['dynamic', 'static'] as const)
      await add(`int8 ${way}`, () => quantizeForOnnxRuntime(path, way, samples));
    // Only onnxruntime-node writes models.
    for (const reach of defaultRuntime().reason === null ? (['products', 'all'] as const) : [])
      await add(reach === 'all' ? 'int8 conv, all' : 'int8 conv', () => quantizeConvolutions(path, reach, samples));
    return { inputs, forms };
  } finally {
    await float.close();
  }
}

/** A synthetic photograph as a float model takes it, normalized about as usual; its colours in turn as channels. */
function photograph({ height, width, channels }: Program['input'], seed: number): FloatInputs[string] {
  const { data } = syntheticImage(width, height, seed);
  const size = height * width;
  const values = new Float32Array(channels * size);
  for (let i = 0; i < values.length; i++) {
    const [channel, pixel] = [Math.floor(i / size), i % size];
    values[i] = data[3 * pixel + (channel % 3)] / 64 - 2;
  }
  return { data: values, shape: [1, channels, height, width] };
}

/** SQNR over all outputs together, in dB. */
async function compareOutputs(
  model: Uint8Array,
  inputs: FloatInputs,
  expected: ReadonlyMap<string, Float32Array>,
): Promise<number> {
  const session = await openFloatModel(model);
  const outputs = await session.run(inputs);
  await session.close();
  let [signal, noise] = [0, 0];
  for (const [name, values] of expected) {
    const actual = outputs.get(name)!;
    values.forEach((v, i) => {
      signal += v ** 2;
      noise += (v - actual[i]) ** 2;
    });
  }
  return 10 * Math.log10(signal / noise);
}

/** One form of the float model on ONNX Runtime, all optimisations on. */
export async function onnxContender(
  { precision, model, sqnrDb }: OnnxForm,
  inputs: FloatInputs,
  runtime: 'onnxruntime-node' | 'onnxruntime-web',
  threads: number,
): Promise<Contender> {
  const session = await openFloatModel(model, { runtime, threads });
  const run = () => session.run(inputs);
  return {
    runtime,
    precision,
    threads,
    sqnrDb,
    run,
    // One after another: its threads work inside each image.
    runMany: async (count) => {
      for (let i = 0; i < count; i++) await run();
    },
    close: () => session.close(),
  };
}
