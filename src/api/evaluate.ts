import { normalizePixels } from '../calibrate/collect.js';
import type { FloatModel } from '../calibrate/runtime.js';
import { InputError } from '../errors.js';
import { openDataset } from '../images/datasets/index.js';
import type { DatasetItem } from '../images/datasets/index.js';
import { decodeOriented } from '../images/decode.js';
import type { ExifMode } from '../images/decode.js';
import type { RgbImage } from '../images/image.js';
import { AccuracyMeter } from '../metrics/accuracy.js';
import { AgreementMeter, argmax } from '../metrics/agreement.js';
import { latencyOf } from '../metrics/latency.js';
import type { Latency } from '../metrics/latency.js';
import { checkEvaluateArguments } from './arguments.js';
import { openFloatFile } from './float-file.js';
import { recordedNormalization } from './float-input.js';
import { hashFile } from './hash.js';
import { Model } from './model.js';
import type { EvaluateRequest } from './requests.js';
import type { SkippedImage } from './quantize.js';

export interface Evaluation {
  readonly images: number;
  /** How many of them have an EXIF orientation other than upright, and what was done with these. */
  readonly turned: { readonly images: number; readonly exif: ExifMode };
  readonly top1: number;
  readonly top5: number;
  /** Decoding, resizing and inference together, by the clock on the wall; the float model's time is left out. */
  readonly imagesPerSecond: number;
  /** Of inference alone. */
  readonly latencyMs: Latency;
  readonly skipped: readonly SkippedImage[];
  /** Images of class folders that are of a kind that is not decoded: extension → how many. */
  readonly unread: Readonly<Record<string, number>>;
  readonly float?: FloatComparison;
}

export interface FloatComparison {
  readonly top1: number;
  readonly top5: number;
  /** Share of images for which both models decide for the same class. */
  readonly agreement: number;
  readonly kl: number;
  readonly sqnrDb: number;
  readonly runtime: string;
}

/**
 * Measures a model on a dataset. Decoding of the next images overlaps with inference.
 *
 *     const { top1 } = await evaluate(await Model.load('model.ivit'), { dataset: 'val/' });
 *
 * @param model a loaded model, which stays open, or a path
 * @throws InputError where the dataset or the float model cannot be used, or no image can be decoded
 */
export async function evaluate(model: Model | string, request: EvaluateRequest): Promise<Evaluation> {
  checkEvaluateArguments(request);
  if (model instanceof Model) return evaluateLoaded(model, request);
  const loaded = await Model.load(model);
  try {
    return await evaluateLoaded(loaded, request);
  } finally {
    await loaded.close();
  }
}

async function evaluateLoaded(model: Model, request: EvaluateRequest): Promise<Evaluation> {
  const { onNotice, onProgress, exif = 'ignore' } = request;
  if (model.classes === 0) {
    throw new InputError(
      `The model made from ${model.file.provenance.source.name} has no classes, it gives features: accuracy cannot ` +
        'be measured. Quantize a model with its classifier.',
    );
  }
  const dataset = await openDataset(request.dataset, { labels: model.labels ?? undefined, classCount: model.classes });
  dataset.notices.forEach((notice) => onNotice?.(notice));
  const left = dataset.unread?.notice(request.dataset) ?? null;
  if (left !== null) onNotice?.(left);
  const items = limited(dataset.items, request.limit);
  const float = request.float === undefined ? null : await FloatReference.open(request.float, model, onNotice);
  try {
    const accuracy = new AccuracyMeter();
    const times: number[] = [];
    const skipped: SkippedImage[] = [];
    let floatTime = 0;
    let turned = 0;
    const start = performance.now();
    for await (const { item, input } of inferInOrder(model, items, exif)) {
      if ('reason' in input) {
        skipped.push({ path: item.path, reason: input.reason });
      } else {
        const { pixels, logits, ms } = input;
        accuracy.add(logits, item.label);
        times.push(ms);
        if (input.isTurned) turned++;
        const before = performance.now();
        const floatPrediction = await float?.compare(pixels, logits, item.label);
        floatTime += performance.now() - before;
        request.onImage?.({ path: item.path, label: item.label, logits, floatPrediction });
      }
      onProgress?.(times.length + skipped.length, items.length);
    }
    const seconds = (performance.now() - start - floatTime) / 1000;
    if (times.length === 0) throw new InputError(`No usable image in ${request.dataset}: ${skipped[0].reason}`);
    const { images, top1, top5 } = accuracy.result();
    if (turned > 0) onNotice?.(turnedNotice(turned, images, exif));
    return {
      images,
      turned: { images: turned, exif },
      top1,
      top5,
      imagesPerSecond: images / seconds,
      latencyMs: latencyOf(times),
      skipped,
      unread: dataset.unread?.byExtension() ?? {},
      ...(float !== null && { float: float.result() }),
    };
  } finally {
    await float?.close();
  }
}

function turnedNotice(turned: number, images: number, exif: ExifMode): string {
  const subject = `${turned} of ${images} images lie on their side, as their EXIF orientation says`;
  return exif === 'apply'
    ? `${subject}: they were turned upright.`
    : `${subject}, and were NOT turned, as Python's datasets do not. --exif apply turns them, as ivit infer does.`;
}

/** `limit` items spread evenly, so that a dataset sorted by class is not cut to its first classes. */
function limited(items: readonly DatasetItem[], limit = items.length): DatasetItem[] {
  const count = Math.min(limit, items.length);
  return Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]);
}

interface Decoded {
  readonly image: RgbImage;
  readonly isTurned: boolean;
}

interface Skipped {
  readonly reason: string;
}

interface Inferred {
  readonly pixels: Uint8Array;
  /** Whether its EXIF data give an orientation other than upright. */
  readonly isTurned: boolean;
  readonly logits: Int32Array;
  readonly ms: number;
}

/** Most images that are held decoded at a time. */
const MAX_BATCH = 32;

/**
 * Decodes and infers image by image, results in order. While one batch is inferred the next is decoded, by sharp's own
 * threads; resizing, which is JavaScript, happens in between, so that it does not disturb the measured times.
 */
async function* inferInOrder(
  model: Model,
  items: readonly DatasetItem[],
  exif: ExifMode,
): AsyncGenerator<{ item: DatasetItem; input: Skipped | Inferred }> {
  const size = Math.min(MAX_BATCH, 2 * model.threads);
  const decode = (from: number) => Promise.all(items.slice(from, from + size).map((item) => decodeItem(item, exif)));
  let decoding = decode(0);
  for (let from = 0; from < items.length; from += size) {
    const prepared = (await decoding).map((image) =>
      'reason' in image ? image : { pixels: model.prepare(image.image), isTurned: image.isTurned },
    );
    decoding = decode(from + size);
    const inferred = await mapConcurrently(prepared, model.threads, (one) => inferPixels(model, one));
    for (const [i, input] of inferred.entries()) yield { item: items[from + i], input };
  }
}

async function decodeItem(item: DatasetItem, exif: ExifMode): Promise<Decoded | Skipped> {
  try {
    return await decodeOriented(item.path, exif);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { reason: error.message };
  }
}

async function inferPixels(
  model: Model,
  prepared: Pick<Inferred, 'pixels' | 'isTurned'> | Skipped,
): Promise<Inferred | Skipped> {
  if ('reason' in prepared) return prepared;
  const { pixels, isTurned } = prepared;
  const start = performance.now();
  const logits = await model.run(pixels);
  return { pixels, isTurned, logits, ms: performance.now() - start };
}

/** Works on `count` items at a time: as many as the engine has threads, so that none waits in a queue while timed. */
async function mapConcurrently<T, R>(items: readonly T[], count: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const i = next++;
      results[i] = await work(items[i]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, items.length) }, worker));
  return results;
}

/** The float model, run on the very pixels that the integer model saw. */
class FloatReference {
  private readonly accuracy = new AccuracyMeter();
  private readonly agreement = new AgreementMeter();

  private constructor(
    private readonly float: FloatModel,
    private readonly model: Model,
    private readonly path: string,
    private readonly output: string,
  ) {}

  static async open(path: string, model: Model, onNotice?: (notice: string) => void): Promise<FloatReference> {
    const { height, width } = model.file.program.input;
    const { model: opened, output } = await openFloatFile(path, [height, width], { threads: model.threads });
    const { name, sha256 } = model.file.provenance.source;
    if ((await hashFile(path)) !== sha256)
      onNotice?.(`${path} is not the file that the model was made from (${name}).`);
    return new FloatReference(opened, model, path, output);
  }

  /** @returns the float model's first class */
  async compare(pixels: Uint8Array, logits: Int32Array, label: number): Promise<number> {
    const { program, provenance } = this.model.file;
    const { height, width, channels } = program.input;
    const { mean, std } = recordedNormalization(provenance);
    const data = normalizePixels(pixels, channels, mean, std);
    const [input] = this.float.inputNames;
    const { output } = this;
    const outputs = await this.float
      .run({ [input]: { data, shape: [1, channels, height, width] } }, [output])
      .catch((error: Error) => {
        throw new InputError(
          `${this.path} cannot be run on ${height}×${width} pixels: ${error.message.split('\n')[0]}`,
          { cause: error },
        );
      });
    const floatLogits = outputs.get(output)!;
    if (floatLogits.length !== logits.length) {
      throw new InputError(
        `${this.path} has ${floatLogits.length} outputs, the .ivit model ${logits.length}: they are not the same ` +
          'network',
      );
    }
    const scale = this.model.logitScale;
    this.accuracy.add(floatLogits, label);
    this.agreement.add(
      floatLogits,
      Float64Array.from(logits, (v) => v * scale),
    );
    return argmax(floatLogits);
  }

  result(): FloatComparison {
    const { top1, top5 } = this.accuracy.result();
    const { top1Agreement, kl, sqnrDb } = this.agreement.result();
    return { top1, top5, agreement: top1Agreement, kl, sqnrDb, runtime: this.float.runtime };
  }

  close(): Promise<void> {
    return this.float.close();
  }
}
