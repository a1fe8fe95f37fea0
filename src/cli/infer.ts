import { statSync } from 'node:fs';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import { InputError, UsageError } from '../errors.js';
import { decodeOriented } from '../images/decode.js';
import type { RgbImage } from '../images/image.js';
import { labelText } from '../images/labels.js';
import { Model } from '../api/model.js';
import type { Prediction } from '../api/model.js';
import { addExifOption, addModelOptions, engineOptions, findModel, positiveInteger } from './options.js';
import type { ExifFlag, ModelFlags } from './options.js';
import { noticeSlowKernels } from './kernels.js';
import { notice, oneLine, percent, print, printJson, significant, warningsTold } from './render.js';

interface Flags extends ModelFlags {
  readonly top: number;
  readonly labels?: string;
  readonly logits?: boolean;
  readonly exif: ExifFlag;
  readonly json?: boolean;
}

interface Result {
  readonly path: string;
  readonly predictions: readonly Prediction[];
  /** Of a model that has no classes: what it gives instead, in units of `scale`. */
  readonly output?: { readonly tokens: number; readonly values: number; readonly scale: number };
  readonly logits?: readonly number[];
  /** Of inference alone, without decoding and resizing. */
  readonly ms: number;
  /** Where the image was turned upright by its EXIF orientation. */
  readonly turned?: true;
}

interface Decoded {
  readonly image: RgbImage;
  readonly wasTurned: boolean;
}

const STANDARD_INPUT = '-';

export function addInferCommand(program: Command): void {
  const command = program
    .command('infer')
    .description('classify images with an integer model')
    .argument('<images...>', 'image files, folders, patterns like "photos/*.jpg", or - for standard input')
    .option('--top <n>', 'how many classes to show', positiveInteger, 5)
    .option('--labels <file>', "class names in place of the model's: one a line, or JSON")
    .option('--logits', 'give the integer logits too')
    .option('--json', 'print the results as JSON');
  addExifOption(command, 'they are turned');
  addModelOptions(command).action(run);
}

async function run(patterns: readonly string[], flags: Flags): Promise<void> {
  const images = await expand(patterns);
  const modelFile = findModel(flags);
  noticeSlowKernels(flags.backend);
  // An image is decoded while the model loads, or runs on the one before.
  let next = startDecoding(images[0], flags);
  const model = await Model.load(modelFile, engineOptions(flags));
  const labels = flags.labels === undefined ? null : await labelsFor(model, flags.labels);
  const results: Result[] = [];
  const failures: InputError[] = [];
  try {
    for (const [i, file] of images.entries()) {
      const decoding = next;
      if (i + 1 < images.length) next = startDecoding(images[i + 1], flags);
      try {
        results.push(await inferOne({ model, labels }, file, await (decoding ?? decodeStandardInput(flags)), flags));
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        failures.push(error);
        continue;
      }
      if (!flags.json) printResult(results.at(-1)!, results.length + failures.length > 1);
    }
  } finally {
    await model.close();
  }
  if (flags.json && results.length > 0) printJson(results.map((result) => ({ ...result, warnings: warningsTold() })));
  if (failures.length > 0)
    throw failures.length === 1 ? failures[0] : new InputError(failures.map((failure) => failure.message).join('; '));
}

/** Whether the user was told of images that were turned: once is enough. */
let toldOfTurning = false;

async function decode(input: string | Uint8Array, exif: ExifFlag, name?: string): Promise<Decoded> {
  const { image, isTurned } = await decodeOriented(input, exif === 'ignore' ? 'ignore' : 'apply', name);
  const wasTurned = isTurned && exif !== 'ignore';
  if (wasTurned && !toldOfTurning) {
    toldOfTurning = true;
    notice('Images are turned upright by their EXIF orientation; --exif ignore keeps the stored pixels.');
  }
  return { image, wasTurned };
}

/** Not of standard input, which would keep the process waiting after a failure elsewhere: null. */
function startDecoding(file: string, { exif }: Flags): Promise<Decoded> | null {
  if (file === STANDARD_INPUT) return null;
  const decoding = decode(file, exif);
  decoding.catch(() => undefined); // whoever waits for the image gets the error
  return decoding;
}

async function decodeStandardInput({ exif }: Flags): Promise<Decoded> {
  return decode(await buffer(process.stdin), exif, 'standard input');
}

interface LabelledModel {
  readonly model: Model;
  /** In place of the model's own. */
  readonly labels: readonly string[] | null;
}

async function labelsFor(model: Model, file: string): Promise<readonly string[]> {
  try {
    if (model.classes === 0) throw new InputError('The model gives features and has no classes: leave out --labels');
    const { readLabels } = await import('../images/label-list.js'); // rarely needed
    return await readLabels(file, model.classes);
  } catch (error) {
    await model.close();
    throw error;
  }
}

async function inferOne(
  { model, labels }: LabelledModel,
  file: string,
  { image, wasTurned }: Decoded,
  flags: Flags,
): Promise<Result> {
  const pixels = model.prepare(image);
  const start = performance.now();
  const logits = await model.run(pixels);
  const ms = performance.now() - start;
  const { tokens, values, classes } = model.output;
  return {
    path: file,
    predictions: model
      .predictions(logits, flags.top)
      .map((one) => (labels === null ? one : { ...one, label: labelText(labels[one.index]) })),
    ...(classes === 0 && { output: { tokens, values, scale: model.logitScale } }),
    ...(flags.logits && { logits: [...logits] }),
    ms,
    ...(wasTurned && { turned: true }),
  };
}

function printResult({ path: file, predictions, output, logits }: Result, separated: boolean): void {
  const lines = predictions.map(
    ({ index, label, probability }) =>
      `  ${percent(probability).padStart(7)}  ${label === null ? `class ${index}` : `${oneLine(label)} (${index})`}`,
  );
  if (output !== undefined) {
    const { tokens, values, scale } = output;
    const tokensOf = tokens === 1 ? '' : `${tokens} tokens of `;
    lines.push(`  ${tokensOf}${values} numbers, in units of ${significant(scale)}; no classes`);
  }
  if (logits !== undefined) lines.push(`  logits: ${logits.join(' ')}`);
  print(...(separated ? [''] : []), oneLine(file), ...lines);
}

/** Files as named; folders and patterns replaced by the images in them and the files they match, each file once. */
async function expand(patterns: readonly string[]): Promise<string[]> {
  if (patterns.filter((pattern) => pattern === STANDARD_INPUT).length > 1)
    throw new UsageError('Standard input (-) can be read once only');
  const images = new Set<string>();
  for (const pattern of patterns) {
    const info = pattern === STANDARD_INPUT ? null : statSync(pattern, { throwIfNoEntry: false });
    const isThere = info !== undefined;
    const matches = info?.isDirectory() ? await imagesIn(pattern) : isThere ? [pattern] : await expandPattern(pattern);
    if (matches.length === 0) throw new InputError(`No file matches ${pattern}`);
    for (const match of matches) images.add(match);
  }
  return [...images];
}

async function imagesIn(folder: string): Promise<string[]> {
  const { UnreadImages, listImages } = await import('../images/datasets/index.js'); // rarely needed
  const unread = new UnreadImages();
  const images = await listImages(folder, unread);
  const left = unread.notice(folder);
  if (left !== null) notice(left);
  return images;
}

/** The files that match; what is no pattern stands for itself. */
async function expandPattern(pattern: string): Promise<string[]> {
  const { glob, isDynamicPattern } = await import('tinyglobby');
  if (!isDynamicPattern(pattern)) return [pattern];
  return (await glob(pattern, { expandDirectories: false, absolute: path.isAbsolute(pattern) })).sort();
}
