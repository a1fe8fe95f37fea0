import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { InputError, withCode } from '../errors.js';
import { openDataset } from '../images/datasets/index.js';
import type { Dataset } from '../images/datasets/index.js';
import { readLabels } from '../images/label-list.js';
import { scaled } from '../metrics/agreement.js';
import { floatRow, rankOfLabel } from '../metrics/image-row.js';
import type { ImageRow } from '../metrics/image-row.js';
import { classifierOf } from '../metrics/output.js';
import { firstPrediction } from '../metrics/predictions.js';
import { NOT_INTEGER_ONLY } from '../program/integer-only.js';
import { checkEvaluateArguments } from './arguments.js';
import { digestOf } from '../metrics/output-digest.js';
import { Evaluator } from './evaluation.js';
import type { Evaluation } from './evaluation.js';
import { FloatLogitsWriter, StoredLogits, floatSubject, isFloatLogits } from './float-logits.js';
import type { FloatSide } from './float-logits.js';
import { FloatReference } from './float-reference.js';
import { inferInOrder } from './infer-images.js';
import { checkInputs } from './inputs.js';
import type { Inferred, InferredItem } from './infer-images.js';
import { watched } from './long-work.js';
import { Model } from './model.js';
import { chosenBy, headerDifference, partHeader } from './part-file.js';
import type { PartHeader, Row } from './part-file.js';
import { openPart } from './part-reader.js';
import { PartWriter } from './part-writer.js';
import type { EvaluateRequest } from './requests.js';
import { VERSION } from './version.js';

/**
 * Measures a model on a dataset. Decoding of the next images overlaps with inference.
 *
 *     const { top1 } = await evaluate(await Model.load('model.ivit'), { dataset: 'val/' });
 *
 * @param model a loaded model, which stays open, or a path
 * @throws InputError where the dataset or the float model cannot be used, or no image can be decoded. The signal's
 * reason where it is given up: `out` can be resumed then.
 */
export async function evaluate(model: Model | string, request: EvaluateRequest): Promise<Evaluation> {
  return (await evaluateRows(model, request)).evaluation;
}

/**
 * The same, with what the figures were made from.
 *
 * @param classes `ignored`: any images will do, as folders are no classes
 */
export async function evaluateRows(
  model: Model | string,
  given: EvaluateRequest,
  classes: 'ignored' | 'read' = 'read',
): Promise<{ evaluation: Evaluation; evaluator: Evaluator; header: PartHeader }> {
  checkEvaluateArguments(given);
  const request = watched(given);
  if (model instanceof Model) return evaluateLoaded(model, request, classes);
  const loaded = await Model.load(model, { signal: given.signal });
  try {
    return await evaluateLoaded(loaded, request, classes);
  } finally {
    await loaded.close();
  }
}

async function evaluateLoaded(
  model: Model,
  request: EvaluateRequest,
  asked: 'ignored' | 'read',
): Promise<{ evaluation: Evaluation; evaluator: Evaluator; header: PartHeader }> {
  checkInputs([request.dataset, request.float, request.classMap], [request.dataset]);
  const { classes, labels } = model;
  const reader = { name: model.file.provenance.source.name, classes, labels };
  const dataset = await datasetOf(reader, request, asked);
  const digest = datasetDigest(request.dataset, dataset);
  if (!model.integerOnly) request.onNotice?.(`WARNING: ${NOT_INTEGER_ONLY}`);
  const float = await floatSideOf(model, request, digest);
  try {
    const header = headerOf(model, request, dataset, { digest, float });
    const evaluator = new Evaluator(header);
    const take = (row: Row): void => {
      evaluator.add(row);
      request.onRow?.(row);
    };
    const timing =
      (await takeFinished(header, request, take)) ?? (await run({ model, request, dataset, float, header }, take));
    const evaluation = evaluator.result(float?.runtime ?? '', timing);
    const { images, skipped } = evaluation;
    if (images === 0 && skipped.length > 0 && header.shard.count === 1)
      throw new InputError(`No usable image in ${request.dataset}: ${skipped[0].reason}`);
    evaluator.notices(evaluation).forEach((notice) => request.onNotice?.(notice));
    return { evaluation, evaluator, header };
  } finally {
    await float?.close();
  }
}

interface Run {
  readonly model: Model;
  readonly request: EvaluateRequest;
  readonly dataset: Dataset;
  readonly float: FloatSide | null;
  readonly header: PartHeader;
}

interface Timing {
  readonly timed: number;
  readonly seconds: number;
}

/** Where a run is resumed that was done already, its rows; else null. */
async function takeFinished(
  header: PartHeader,
  { out, resume, saveFloat, onNotice }: EvaluateRequest,
  take: (row: Row) => void,
): Promise<Timing | null> {
  if (out === undefined || resume !== true || !existsSync(out)) return null;
  const part = await openPart(out);
  const { index, count } = part.header.shard;
  const isOther = index !== header.shard.index || count !== header.shard.count;
  const difference = isOther ? `of shard ${index}/${count}` : headerDifference(part.header, header);
  if (difference !== null) throw new InputError(`${out} is ${difference}: choose another name, or leave out --resume`);
  if (saveFloat !== undefined && !existsSync(saveFloat))
    throw new InputError(`${out} is whole, and ${saveFloat} is not there: leave out --resume, or --save-float`);
  onNotice?.(`${out} is whole: nothing is left to do.`);
  const rows = part.rows();
  let step = await rows.next();
  for (; step.done !== true; step = await rows.next()) take(step.value);
  return step.value;
}

/** Evaluates what is left to evaluate, and hands on all rows. */
async function run({ model, request, dataset, float, header }: Run, take: (row: Row) => void): Promise<Timing> {
  const { out, resume = false, saveFloat, onProgress, exif = 'ignore' } = request;
  const indices = chosenBy(header);
  const part = out === undefined ? null : await PartWriter.open(out, header, resume);
  const earlier = part?.earlier ?? [];
  const kept = openKept(model, { ...header, indices, file: saveFloat, float, resume: earlier.length > 0 });
  let isDone = false;
  try {
    const isPrefix = earlier.every(({ index }, i) => index === indices[i]);
    if (!isPrefix) throw new InputError(`${out}.partial is damaged: delete it, or leave out --resume`);
    earlier.forEach(take);
    const rows = new RowMaker({ model, request, dataset, float, header }, kept);
    const left = indices.slice(earlier.length);
    const needClass = dataset.items.some(({ label }) => label !== null);
    const start = performance.now();
    let done = earlier.length;
    for await (const found of inferInOrder(model, { dataset, indices: left, exif, needClass })) {
      const row = await rows.make(found);
      part?.add(row);
      take(row);
      onProgress?.('evaluate', ++done, indices.length);
    }
    const seconds = (performance.now() - start - rows.floatTime) / 1000;
    const timing = { timed: rows.images, seconds };
    kept?.finish();
    part?.finish(timing);
    isDone = true;
    return timing;
  } finally {
    if (!isDone) {
      kept?.giveUp(part !== null);
      part?.giveUp();
    }
  }
}

function openKept(
  model: Model,
  options: Pick<PartHeader, 'dataset'> & {
    readonly indices: readonly number[];
    readonly file: string | undefined;
    readonly float: FloatSide | null;
    readonly resume: boolean;
  },
): FloatLogitsWriter | null {
  const { dataset, indices, file, float, resume } = options;
  if (file === undefined || float === null) return null;
  const subject = floatSubject(model, dataset.digest);
  if (float.sha256 !== subject.model)
    throw new InputError('Float logits are kept of the very ONNX file that the .ivit model was made from: give that');
  return FloatLogitsWriter.open(file, subject, { indices, runtime: float.runtime, resume });
}

/** Makes rows of what was inferred. */
class RowMaker {
  /** How many images could be used. */
  images = 0;
  /** Milliseconds that the float model took. */
  floatTime = 0;
  private readonly keepScores: boolean;

  constructor(
    private readonly of: Run,
    private readonly kept: FloatLogitsWriter | null,
  ) {
    const { items, kind } = of.dataset;
    // ReaL's several classes are one each time: the models that it measures decide for one.
    this.keepScores = kind !== 'ImageNet' && items.some(({ label }) => Array.isArray(label));
  }

  async make({ index, item: { path: file, label }, input }: InferredItem): Promise<Row> {
    if ('reason' in input) return { index, path: file, skipped: input.reason };
    this.images++;
    const { model, request } = this.of;
    const { values, ms, isTurned, isColoured } = input;
    const logits = model.logitsOf(values);
    const classifier = classifierOf(model.file.outputs);
    const first = classifier === null ? null : firstPrediction(classifier, logits, model.logitScale);
    const float = await this.floatRow(index, label, input);
    request.onImage?.({ path: file, label, logits, floatPrediction: float?.prediction ?? undefined });
    return {
      index,
      path: file,
      label,
      prediction: first?.index ?? null,
      probability: first?.probability ?? null,
      rank: classifier === null ? null : rankOfLabel(logits, label),
      ms,
      ...(isTurned && { turned: true as const }),
      ...(isColoured && { coloured: true as const }),
      ...(request.out !== undefined && { digest: digestOf(values) }),
      ...(this.keepScores && classifier !== null && { scores: [...logits] }),
      ...(float !== undefined && { float }),
    };
  }

  private async floatRow(index: number, label: ImageRow['label'], { pixels, values }: Inferred) {
    const { model, float } = this.of;
    if (float === null) return undefined;
    const before = performance.now();
    const exact = await float.run(pixels, index);
    this.kept?.put(index, pixels, exact);
    const reals = scaled(values, model.logitScale);
    const row = floatRow(exact, reals, model.file.outputs, label);
    this.floatTime += performance.now() - before;
    return row;
  }
}

/** The model that a dataset is opened for. */
interface DatasetReader {
  /** Of the float model's file. */
  readonly name: string;
  /** 0 where it has none. */
  readonly classes: number;
  readonly labels: readonly string[] | null;
}

/** @throws InputError where there is nothing to measure: no classes, and no float model to compare with */
export async function datasetOf(
  model: DatasetReader,
  { dataset: source, classMap, float, onNotice }: Pick<EvaluateRequest, 'dataset' | 'classMap' | 'float' | 'onNotice'>,
  asked: 'ignored' | 'read' = 'read',
): Promise<Dataset> {
  if (model.classes === 0 && float === undefined) {
    throw new InputError(
      `The model made from ${model.name} has no classes: accuracy cannot be measured. Give ` +
        'the float model to compare its outputs with (--float), or quantize a model with its classifier.',
    );
  }
  const named = classMap === undefined ? model.labels : await withCode('BAD_FILE', readLabels(classMap, model.classes));
  const options = { labels: named ?? undefined, classCount: model.classes };
  const classes =
    model.classes === 0 || asked === 'ignored' ? 'ignored' : float === undefined ? 'required' : 'optional';
  const dataset = await openDataset(source, { ...options, classes });
  dataset.notices.forEach((notice) => onNotice?.(notice));
  const left = dataset.unread?.notice(source) ?? null;
  if (left !== null) onNotice?.(left);
  if (classes === 'optional' && dataset.items.every(({ label }) => label === null))
    onNotice?.(`${source} says no classes: the model is compared with the float one alone.`);
  return dataset;
}

async function floatSideOf(
  model: Model,
  { float, onNotice }: EvaluateRequest,
  dataset: string,
): Promise<FloatSide | null> {
  if (float === undefined) return null;
  if (isFloatLogits(float)) return StoredLogits.open(float, floatSubject(model, dataset));
  return FloatReference.open(float, model, onNotice);
}

function headerOf(
  model: Model,
  { dataset: source, limit, exif = 'ignore', shard = { index: 1, count: 1 } }: EvaluateRequest,
  dataset: Dataset,
  { digest, float }: { readonly digest: string; readonly float: FloatSide | null },
): PartHeader {
  const { hash, provenance, outputs, labels } = model.file;
  return partHeader({
    tool: `ivit ${VERSION}`,
    model: { name: provenance.source.name, hash, labels },
    classes: model.classes,
    outputs,
    dataset: { source, digest, images: dataset.items.length, unread: dataset.unread?.byExtension() ?? {} },
    settings: { limit: limit ?? null, exif },
    float: float && { sha256: float.sha256, runtime: float.runtime },
    shard,
  });
}

/** SHA-256 of the names and classes of a dataset's images, the same wherever the dataset lies. */
function datasetDigest(source: string, { items }: Dataset): string {
  const hash = createHash('sha256');
  const folders = [source, path.dirname(source)].map((folder) => path.normalize(`${folder}/`));
  for (const { path: file, label } of items) {
    const whole = path.normalize(file);
    const folder = folders.find((one) => whole.startsWith(one)) ?? '';
    hash.update(`${JSON.stringify([whole.slice(folder.length).replaceAll(path.sep, '/'), label])}\n`);
  }
  return hash.digest('hex');
}
