import { InputError } from '../errors.js';
import { UnreadImages, hasClasses, listImages, openDataset } from '../images/datasets/index.js';
import { greyNotice, losesColour } from '../images/channels.js';
import { decodeOriented } from '../images/decode.js';
import type { ExifMode } from '../images/decode.js';
import type { PixelImage } from '../images/image.js';
import { AccuracyMeter } from '../metrics/accuracy.js';
import { isNearChance } from '../metrics/chance.js';
import { AgreementMeter, argmax } from '../metrics/agreement.js';
import { latencyOf } from '../metrics/latency.js';
import type { Latency } from '../metrics/latency.js';
import { OutputsMeter } from '../metrics/similarity.js';
import type { OutputAgreement } from '../metrics/similarity.js';
import { checkEvaluateArguments } from './arguments.js';
import { FloatReference } from './float-reference.js';
import { Model } from './model.js';
import type { EvaluateRequest } from './requests.js';
import type { SkippedImage } from './quantize.js';

export interface Evaluation {
  readonly images: number;
  /** How many of them have an EXIF orientation other than upright, and what was done with these. */
  readonly turned: { readonly images: number; readonly exif: ExifMode };
  /** Null where the model or the dataset has no classes. */
  readonly top1: number | null;
  readonly top5: number | null;
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
  /** Null where the model or the dataset has no classes. */
  readonly top1: number | null;
  readonly top5: number | null;
  /** Share of images for which both models decide for the same class; null where the model has no classes. */
  readonly agreement: number | null;
  /** Of the classes' scores; null where the model has no classes. */
  readonly kl: number | null;
  /** Of the classes' scores, or of all outputs together. */
  readonly sqnrDb: number;
  /** Output by output. */
  readonly outputs: readonly OutputAgreement[];
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
  const { items: all, unread } = await itemsOf(model, request);
  const items = limited(all, request.limit);
  const float = request.float === undefined ? null : await FloatReference.open(request.float, model, onNotice);
  try {
    const accuracy = new AccuracyMeter();
    const comparison = float === null ? null : new Comparison(float, model);
    const times: number[] = [];
    const skipped: SkippedImage[] = [];
    let floatTime = 0;
    let turned = 0;
    let coloured = 0;
    const start = performance.now();
    for await (const { item, input } of inferInOrder(model, items, exif)) {
      if ('reason' in input) {
        skipped.push({ path: item.path, reason: input.reason });
      } else {
        const { pixels, values, ms } = input;
        const logits = model.logitsOf(values);
        if (item.label !== null) accuracy.add(logits, item.label);
        times.push(ms);
        if (input.isTurned) turned++;
        if (input.isColoured) coloured++;
        const before = performance.now();
        const floatPrediction = await comparison?.add(pixels, values, item.label);
        floatTime += performance.now() - before;
        request.onImage?.({ path: item.path, label: item.label, logits, floatPrediction });
      }
      onProgress?.(times.length + skipped.length, items.length);
    }
    const seconds = (performance.now() - start - floatTime) / 1000;
    const images = times.length;
    if (images === 0) throw new InputError(`No usable image in ${request.dataset}: ${skipped[0].reason}`);
    if (turned > 0) onNotice?.(turnedNotice(turned, images, exif));
    for (const told of [greyNotice(coloured, images), chanceNotice(accuracy, comparison, model.classes)])
      if (told !== null) onNotice?.(told);
    return {
      images,
      turned: { images: turned, exif },
      ...topOf(accuracy),
      imagesPerSecond: images / seconds,
      latencyMs: latencyOf(times),
      skipped,
      unread,
      ...(comparison !== null && { float: comparison.result() }),
    };
  } finally {
    await float?.close();
  }
}

/** An image, and its class where the dataset says it. */
interface Item {
  readonly path: string;
  readonly label: number | null;
}

/** @throws InputError where there is nothing to measure: no classes, and no float model to compare with */
async function itemsOf(
  model: Model,
  { dataset: source, float, onNotice }: EvaluateRequest,
): Promise<Pick<Evaluation, 'unread'> & { readonly items: readonly Item[] }> {
  const options = { labels: model.labels ?? undefined, classCount: model.classes };
  if (model.classes === 0 && float === undefined) {
    throw new InputError(
      `The model made from ${model.file.provenance.source.name} has no classes: accuracy cannot be measured. Give ` +
        'the float model to compare its outputs with (--float), or quantize a model with its classifier.',
    );
  }
  if (float === undefined || (model.classes > 0 && (await hasClasses(source, options)))) {
    const dataset = await openDataset(source, options);
    dataset.notices.forEach((notice) => onNotice?.(notice));
    const left = dataset.unread?.notice(source) ?? null;
    if (left !== null) onNotice?.(left);
    return { items: dataset.items, unread: dataset.unread?.byExtension() ?? {} };
  }
  if (model.classes > 0) onNotice?.(`${source} says no classes: the model is compared with the float one alone.`);
  const unread = new UnreadImages();
  const items = (await listImages(source, unread)).map((path) => ({ path, label: null }));
  const left = unread.notice(source);
  if (left !== null) onNotice?.(left);
  return { items, unread: unread.byExtension() };
}

const topOf = (accuracy: AccuracyMeter): Pick<Evaluation, 'top1' | 'top5'> => {
  const { images, top1, top5 } = accuracy.result();
  return images === 0 ? { top1: null, top5: null } : { top1, top5 };
};

/** The float model beside the integer one. */
class Comparison {
  private readonly accuracy = new AccuracyMeter();
  /** Of the classes' scores, or of all numbers. */
  private readonly agreement = new AgreementMeter();
  private readonly outputs: OutputsMeter;

  constructor(
    private readonly float: FloatReference,
    private readonly model: Model,
  ) {
    this.outputs = new OutputsMeter(model.file.outputs);
  }

  /** @returns the float model's first class; undefined where there are none */
  async add(pixels: Uint8Array, values: Int32Array, label: number | null): Promise<number | undefined> {
    const { model } = this;
    const exact = await this.float.run(pixels);
    const reals = Float64Array.from(values, (v) => v * model.logitScale);
    this.outputs.add(exact, reals);
    const logits = model.logitsOf(exact);
    this.agreement.add(logits, model.logitsOf(reals));
    if (label !== null) this.accuracy.add(logits, label);
    return model.classes > 0 ? argmax(logits) : undefined;
  }

  result(): FloatComparison {
    const { top1Agreement, kl, sqnrDb } = this.agreement.result();
    const hasClasses = this.model.classes > 0;
    return {
      ...topOf(this.accuracy),
      agreement: hasClasses ? top1Agreement : null,
      kl: hasClasses ? kl : null,
      sqnrDb,
      outputs: this.outputs.result(),
      runtime: this.float.runtime,
    };
  }
}

/** A warning where the accuracy is one of guessing; null where it is not. */
function chanceNotice(accuracy: AccuracyMeter, comparison: Comparison | null, classes: number): string | null {
  const { images, top1 } = accuracy.result();
  if (!isNearChance(top1, images, classes)) return null;
  const float = comparison?.result().top1 ?? null;
  const remedy =
    float === null
      ? 'Compare with the float model (--float), check'
      : isNearChance(float, images, classes)
        ? 'So is that of the float model: check'
        : 'That of the float model is not: quantize again with photographs as --images. Else check';
  return (
    `WARNING: the accuracy is about that of guessing among ${classes} classes. ${remedy} that the classes of the ` +
    "dataset are the model's, in its order, and that its pre-processing (`ivit inspect`) is right."
  );
}

function turnedNotice(turned: number, images: number, exif: ExifMode): string {
  const subject = `${turned} of ${images} images lie on their side, as their EXIF orientation says`;
  return exif === 'apply'
    ? `${subject}: they were turned upright.`
    : `${subject}, and were NOT turned, as Python's datasets do not. --exif apply turns them, as ivit infer does.`;
}

/** `limit` items spread evenly, so that a dataset sorted by class is not cut to its first classes. */
function limited(items: readonly Item[], limit = items.length): Item[] {
  const count = Math.min(limit, items.length);
  return Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]);
}

interface Decoded {
  readonly path: string;
  readonly image: PixelImage;
  readonly isTurned: boolean;
}

interface Skipped {
  readonly reason: string;
}

interface Prepared {
  readonly pixels: Uint8Array;
  /** Whether its EXIF data give an orientation other than upright. */
  readonly isTurned: boolean;
  /** Whether a network of one channel gets it without its colours. */
  readonly isColoured: boolean;
}

interface Inferred extends Prepared {
  /** All that the network gives. */
  readonly values: Int32Array;
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
  items: readonly Item[],
  exif: ExifMode,
): AsyncGenerator<{ item: Item; input: Skipped | Inferred }> {
  const size = Math.min(MAX_BATCH, 2 * model.threads);
  const decode = (from: number) => Promise.all(items.slice(from, from + size).map((item) => decodeItem(item, exif)));
  let decoding = decode(0);
  for (let from = 0; from < items.length; from += size) {
    const prepared = (await decoding).map((one) => ('reason' in one ? one : prepareItem(model, one)));
    decoding = decode(from + size);
    const inferred = await mapConcurrently(prepared, model.threads, (one) => inferPixels(model, one));
    for (const [i, input] of inferred.entries()) yield { item: items[from + i], input };
  }
}

async function decodeItem(item: Item, exif: ExifMode): Promise<Decoded | Skipped> {
  try {
    return { ...(await decodeOriented(item.path, exif)), path: item.path };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { reason: error.message };
  }
}

/** What has other channels than the network reads is skipped, with the reason. */
function prepareItem(model: Model, { image, isTurned, path }: Decoded): Prepared | Skipped {
  try {
    const isColoured = model.file.program.input.channels === 1 && losesColour(image);
    return { pixels: model.prepare(image), isTurned, isColoured };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { reason: `Cannot use ${path}: ${error.message}` };
  }
}

async function inferPixels(model: Model, prepared: Prepared | Skipped): Promise<Inferred | Skipped> {
  if ('reason' in prepared) return prepared;
  const { pixels } = prepared;
  const start = performance.now();
  const values = await model.run(pixels);
  return { ...prepared, values, ms: performance.now() - start };
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
