/** Measures all forms of a model in one pass over a dataset, and their speed in turns. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describeMachine } from '../bench/compare.js';
import { integerContender, noise, onnxContender, type OnnxForm } from '../bench/contenders.js';
import { quantizeForOnnxRuntime } from '../bench/int8-onnx.js';
import { measure, type Contender, type Timing } from '../bench/measure.js';
import type { FloatInputs } from '../bench/onnx-parts.js';
import { normalizePixels } from '../calibrate/collect.js';
import { defaultRuntime, openFloatModel } from '../calibrate/runtime.js';
import { createOpRunner } from '../engine/runner.js';
import { InputError } from '../errors.js';
import type { Dataset } from '../images/datasets/index.js';
import { scaled } from '../metrics/agreement.js';
import { ComparisonMeter } from '../metrics/comparison.js';
import type { Effort, FunctionOp, KernelSet, ScaleMode } from '../quantize/index.js';
import type { ComparedModel, ComparisonData } from '../report/comparison/index.js';
import { functionErrors } from '../report/index.js';
import { withPlainFile } from './float-file.js';
import { normalizationOf } from './float-input.js';
import { FloatReference } from './float-reference.js';
import { inferInOrder } from './infer-images.js';
import { Model } from './model.js';
import type { PreparedQuantization } from './quantize.js';
import type { CompareRequest } from './requests.js';
import { chosenIndices } from './shard.js';

/** Kernels and scales that go together, and how hard they are fitted. */
export interface Combination {
  readonly kernels: KernelSet;
  readonly scales: ScaleMode;
  readonly effort: Effort;
}

/** An integer form of the model, quantized. */
export interface IntegerForm extends Combination {
  readonly name: string;
  readonly file: string;
  readonly bytes: number;
  readonly functions: readonly FunctionOp[];
}

interface EvaluateFormsRequest {
  /** Path of the float model. */
  readonly model: string;
  readonly request: CompareRequest;
  readonly prepared: PreparedQuantization;
  readonly dataset: Dataset;
  readonly forms: readonly IntegerForm[];
}

type Evaluated = Pick<ComparisonData, 'dataset' | 'machine' | 'observedImages' | 'models'>;

/** A form that ONNX Runtime runs. */
interface FloatForm {
  /** As `onnxForms` calls it. */
  readonly name: string;
  readonly file: string;
  readonly bytes: number;
}

/** Calibration images that ONNX Runtime's static ranges come from, at most. */
const INT8_IMAGES = 64;
/** Images whose integers are looked at function by function. */
const OBSERVED = 8;
const ROUNDS = 20;

export async function evaluateForms(all: EvaluateFormsRequest): Promise<Evaluated> {
  const { model, prepared, request } = all;
  const { height, width } = prepared.imported.graph.input;
  const folder = mkdtempSync(path.join(tmpdir(), 'ivit-compare-int8-'));
  const clean = (): void => rmSync(folder, { recursive: true, force: true });
  process.on('exit', clean);
  try {
    const notice = request.onNotice ?? (() => undefined);
    return await withPlainFile(model, { size: [height, width], outputs: request.outputs }, notice, async (plain) => {
      const float = { name: 'float', file: plain, bytes: prepared.imported.bytes };
      return evaluateWith(all, [float, ...(await int8Forms(plain, all, folder))]);
    });
  } finally {
    clean();
    process.off('exit', clean);
  }
}

/** ONNX Runtime's int8 forms of a float model, as files; those that cannot be written are named in a notice. */
async function int8Forms(
  plain: string,
  { prepared, request }: EvaluateFormsRequest,
  folder: string,
): Promise<FloatForm[]> {
  const samples = await calibrationInputs(plain, prepared);
  const forms: FloatForm[] = [];
  for (const way of ['dynamic', 'static'] as const) {
    const name = `int8 ${way}`;
    const file = path.join(folder, `${way}.onnx`);
    try {
      const bytes = await quantizeForOnnxRuntime(plain, way, samples);
      writeFileSync(file, bytes);
      forms.push({ name, file, bytes: bytes.length });
    } catch (error) {
      request.onNotice?.(`ONNX Runtime ${name} is left out: ${(error as Error).message.split('\n')[0]}`);
    }
  }
  return forms;
}

/** Calibration images as the float model takes them, evenly spread. */
async function calibrationInputs(
  plain: string,
  { recipe, imported, calibration: { images } }: PreparedQuantization,
): Promise<FloatInputs[]> {
  const { channels, height, width } = imported.graph.input;
  const { mean, std } = normalizationOf(recipe);
  const float = await openFloatModel(plain);
  const [name] = float.inputNames;
  await float.close();
  const count = Math.min(INT8_IMAGES, images.length);
  return Array.from({ length: count }, (_, i) => {
    const data = normalizePixels(images[Math.floor((i * images.length) / count)], channels, mean, std);
    return { [name]: { data, shape: [1, channels, height, width] } };
  });
}

async function evaluateWith(all: EvaluateFormsRequest, floats: readonly FloatForm[]): Promise<Evaluated> {
  const { forms, request, dataset } = all;
  const models: Model[] = [];
  const references: FloatReference[] = [];
  try {
    // Each on a thread of its own: they run side by side.
    for (const { file } of forms) models.push(await Model.load(file, { threads: 1 }));
    const isOwnFile = floats[0].file === all.model;
    for (const { file } of floats)
      references.push(
        await (isOwnFile ? FloatReference.open(file, models[0]) : FloatReference.openWhole(file, models[0])),
      );
    const { meters, pixels, skipped } = await evaluateTogether(all, models, references);
    const engine = `ivit ${models[0].backend} (${models[0].isa})`;
    const functions = await functionsOf(forms, models, pixels, request.onProgress);
    const timings = await timeAll(all, { floats, references, models });
    const images = meters[0].result().images;
    const floatMs = timings[0].median;
    const common = (i: number) => ({
      figures: meters[i].result(),
      latencyMs: timings[i].median,
      timesFloat: floatMs / timings[i].median,
    });
    const compared: ComparedModel[] = [
      ...floats.map(({ name, bytes }, i) => ({
        ...{ name, settings: null, engine: timings[i].runtime, integerOnly: false, bytes },
        ...common(i),
        functions: [],
      })),
      ...forms.map(({ name, kernels, scales, effort, bytes }, i) => ({
        ...{ name, settings: { kernels, scales, effort }, engine, integerOnly: models[i].integerOnly, bytes },
        ...common(floats.length + i),
        functions: functions[i],
      })),
    ];
    const { cpu, cores, node } = describeMachine();
    return {
      machine: `${cpu}, ${cores} ${cores === 1 ? 'core' : 'cores'}, Node ${node}`,
      dataset: { source: request.dataset, images, skipped },
      observedImages: pixels.length,
      models: compared,
    };
  } finally {
    for (const one of [...models, ...references]) await one.close();
    for (const left of [dataset.unread?.notice(request.dataset) ?? null]) if (left !== null) request.onNotice?.(left);
  }
}

interface Together {
  /** Of the float model, ONNX Runtime's int8 forms and ivit's, in this order. */
  readonly meters: readonly ComparisonMeter[];
  /** Of some images, evenly spread. */
  readonly pixels: readonly Uint8Array[];
  readonly skipped: number;
}

/** Image by image, all forms at once. */
async function evaluateTogether(
  { request, dataset }: EvaluateFormsRequest,
  models: readonly Model[],
  references: readonly FloatReference[],
): Promise<Together> {
  const { limit, exif = 'ignore', onProgress } = request;
  const [first, ...others] = models;
  const meters = [...references, ...models].map(() => new ComparisonMeter(first.file.outputs));
  const indices = chosenIndices({ items: dataset.items.length, limit: limit ?? null }, { index: 1, count: 1 });
  const pixels: Uint8Array[] = [];
  let done = 0;
  let reason = '';
  const needClass = dataset.items.some(({ label }) => label !== null);
  for await (const { item, input } of inferInOrder(first, { dataset, indices, exif, needClass })) {
    done++;
    if ('reason' in input) {
      reason = input.reason;
      continue;
    }
    const [exact, ...int8] = await Promise.all(references.map((one) => one.run(input.pixels)));
    const integers = [input.values, ...(await Promise.all(others.map((one) => one.run(input.pixels))))];
    const reals = [
      ...[exact, ...int8].map((values) => Float64Array.from(values)),
      ...integers.map((values, i) => scaled(values, models[i].logitScale)),
    ];
    reals.forEach((values, i) => meters[i].add(values, i === 0 ? null : exact, item.label));
    if (pixels.length < OBSERVED && done > (pixels.length * indices.length) / OBSERVED) pixels.push(input.pixels);
    onProgress?.('evaluate', done, indices.length);
  }
  const { images } = meters[0].result();
  if (images === 0) throw new InputError(`No usable image in ${request.dataset}: ${reason}`);
  const skipped = indices.length - images;
  if (skipped > 0) request.onNotice?.(`${skipped} of ${indices.length} images skipped, the last as: ${reason}`);
  return { meters, pixels, skipped };
}

async function functionsOf(
  forms: readonly IntegerForm[],
  models: readonly Model[],
  pixels: readonly Uint8Array[],
  onProgress: CompareRequest['onProgress'],
): Promise<ComparedModel['functions'][]> {
  const runner = await createOpRunner();
  try {
    const found: ComparedModel['functions'][] = [];
    for (const [i, { functions }] of forms.entries()) {
      found.push(await functionErrors(models[i].file.program, functions, runner, pixels));
      onProgress?.('functions', i + 1, forms.length);
    }
    return found;
  } finally {
    runner.close();
  }
}

interface OpenForms {
  readonly floats: readonly FloatForm[];
  /** Of `floats`, in their order. */
  readonly references: readonly FloatReference[];
  readonly models: readonly Model[];
}

/** Timings on one thread, in turns: of the float model first. */
async function timeAll(
  { prepared, request, forms }: EvaluateFormsRequest,
  { floats, references, models }: OpenForms,
): Promise<Timing[]> {
  const { rounds = ROUNDS, onProgress } = request;
  const { channels, height, width } = prepared.imported.graph.input;
  const { mean, std } = normalizationOf(prepared.recipe);
  const data = normalizePixels(noise(models[0].file.program.input), channels, mean, std);
  const contenders: Contender[] = [];
  try {
    for (const [i, { name, file }] of floats.entries()) {
      const form: OnnxForm = { precision: name, model: file, sqnrDb: null };
      const inputs = { [references[i].inputName]: { data, shape: [1, channels, height, width] } };
      contenders.push(await onnxContender(form, inputs, defaultRuntime().name, 1));
    }
    for (const [i, { name }] of forms.entries()) {
      const { file, backend } = models[i];
      contenders.push(await integerContender(file.program, name, backend, { threads: 1 }));
    }
    return await measure(contenders, rounds, (done) => onProgress?.('time', done, rounds));
  } finally {
    for (const contender of contenders) await contender.close();
  }
}
