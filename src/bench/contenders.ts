import { openFloatModel } from '../calibrate/runtime.js';
import { createEngine } from '../engine/engine.js';
import type { BackendName } from '../engine/types.js';
import { Random } from '../images/random.js';
import type { MemoryOptions } from '../program/budget.js';
import type { Program } from '../program/types.js';
import { quantizeForOnnxRuntime } from './int8-onnx.js';
import type { FloatInputs } from './int8-onnx.js';
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

/** The float model in the forms that ONNX Runtime can run. */
export interface OnnxForms {
  readonly forms: readonly { readonly precision: string; readonly model: string | Uint8Array }[];
  readonly inputs: FloatInputs;
}

/** Images that the static ranges come from: they must not be absurd, but accuracy is not measured here. */
const CALIBRATION_IMAGES = 4;

/** @param path the float model @param input the image that it takes, as the integer model does */
export async function onnxForms(path: string, input: Program['input']): Promise<OnnxForms> {
  const session = await openFloatModel(path);
  const [name] = session.inputNames;
  await session.close();
  const { height, width, channels } = input;
  const inputsOf = (seed: number): FloatInputs => ({
    [name]: { data: Float32Array.from(noise(input, seed), (p) => p / 64 - 2), shape: [1, channels, height, width] },
  });
  const samples = Array.from({ length: CALIBRATION_IMAGES }, (_, i) => inputsOf(i + 1));
  return {
    inputs: samples[0],
    forms: [
      { precision: 'float', model: path },
      { precision: 'int8 dynamic', model: await quantizeForOnnxRuntime(path, 'dynamic', samples) },
      { precision: 'int8 static', model: await quantizeForOnnxRuntime(path, 'static', samples) },
    ],
  };
}

/** One form of the float model on ONNX Runtime, all optimisations on. */
export async function onnxContender(
  { precision, model }: OnnxForms['forms'][number],
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
    run,
    // One after another: its threads work inside each image.
    runMany: async (count) => {
      for (let i = 0; i < count; i++) await run();
    },
    close: () => session.close(),
  };
}
