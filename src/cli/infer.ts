import { statSync } from 'node:fs';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import { InputError, UsageError } from '../errors.js';
import { losesColour } from '../images/channels.js';
import { decodeOriented } from '../images/decode.js';
import type { PixelImage } from '../images/image.js';
import { labelText } from '../images/label-text.js';
import { digestOf } from '../metrics/output-digest.js';
import { Model } from '../api/model.js';
import type { ExplainImage } from '../api/explain.js';
import type { Prediction } from '../metrics/predictions.js';
import { isOnlyClassifier, summaryOf } from '../metrics/results.js';
import type { OutputResult, OutputSummary } from '../metrics/results.js';
import { checkOutputNames, checkPixelsName, outputFileKind, saveOutputs, savePixels } from '../api/output-file.js';
import type { SavedImage } from '../api/output-file.js';
import { checkOutputs } from '../api/outputs.js';
import { addExifOption, addModelOptions, engineOptions, findModel, positiveInteger } from './options.js';
import type { ExifFlag, ModelFlags } from './options.js';
import { noticeSlowKernels } from './kernels.js';
import { outputLines, predictionLines } from './output-summary.js';
import { notice, oneLine, percent, print, printJson, warningsTold } from './render.js';

interface Flags extends ModelFlags {
  readonly top: number;
  readonly labels?: string;
  readonly logits?: boolean;
  readonly digest?: boolean;
  readonly savePixels?: string;
  readonly save?: string;
  readonly reals?: boolean;
  readonly explain?: string;
  readonly exif: ExifFlag;
  readonly json?: boolean;
}

interface Result {
  readonly path: string;
  readonly predictions: readonly Prediction[];
  /** Of a model that is more, or other, than one classifier: every output. */
  readonly outputs?: readonly OutputSummary[];
  readonly logits?: readonly number[];
  /** SHA-256 of all integers that the model gives, as docs/format.md defines it. */
  readonly digest?: string;
  /** Of inference alone, without decoding and resizing. */
  readonly ms: number;
  /** Where the image was turned upright by its EXIF orientation. */
  readonly turned?: true;
}

interface Decoded {
  readonly image: PixelImage;
  readonly wasTurned: boolean;
}

const STANDARD_INPUT = '-';

export function addInferCommand(program: Command): void {
  const command = program
    .command('infer')
    .description('run images through an integer model: classes, or a summary of each output')
    .argument('<images...>', 'image files, folders, patterns like "photos/*.jpg", or - for standard input')
    .option('--top <n>', 'how many classes to show', positiveInteger, 5)
    .option('--labels <file>', "class names in place of the model's: one a line, or JSON")
    .option('--logits', 'give the integer logits too')
    .option('--digest', 'print the SHA-256 of the integer outputs, a line for each image, in place of classes')
    .option('--save-pixels <file.bin>', 'write the pixels that the network reads: u8, all images end to end')
    .option('--save <file>', 'write every output to a .npz or .safetensors file, images stacked, as integers and scale')
    .option('--reals', 'save real numbers, as the float model gives them')
    .option('--explain <out.png>', 'draw where the model looked, all images on one sheet')
    .option('--json', 'print the results as JSON');
  addExifOption(command, 'they are turned');
  addModelOptions(command).action(run);
}

async function run(patterns: readonly string[], flags: Flags): Promise<void> {
  const images = await expand(patterns);
  const modelFile = findModel(flags);
  checkSave(flags, [modelFile, ...images]);
  noticeSlowKernels(flags.backend);
  // An image is decoded while the model loads, or runs on the one before.
  let next = startDecoding(images[0], flags);
  const model = await Model.load(modelFile, engineOptions(flags));
  if (flags.save !== undefined)
    checkOutputNames(
      flags.save,
      model.outputs.map(({ name }) => name),
      { reals: flags.reals === true },
    );
  const labels = flags.labels === undefined ? null : await labelsFor(model, flags.labels);
  const results: Result[] = [];
  const saved: SavedImage[] = [];
  const explained: ExplainImage[] = [];
  const failures: InputError[] = [];
  const drawing = flags.explain === undefined ? null : await import('../api/explain.js'); // rarely needed
  try {
    drawing?.checkExplainable(model, images.length);
    for (const [i, file] of images.entries()) {
      const decoding = next;
      if (i + 1 < images.length) next = startDecoding(images[i + 1], flags);
      try {
        const decoded = await (decoding ?? decodeStandardInput(flags));
        const { result, outputs, pixels } = await inferOne({ model, labels }, file, decoded, flags);
        results.push(result);
        if (flags.explain !== undefined) explained.push({ title: titleOf(result), pixels });
        if (flags.save !== undefined || flags.savePixels !== undefined) saved.push({ path: file, outputs, pixels });
        if (!flags.json)
          printResult(result, outputs, { top: flags.top, separated: results.length + failures.length > 1 });
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        failures.push(error);
      }
    }
    if (saved.length > 0) saveAll(saved, flags);
    if (explained.length > 0) await drawing?.saveExplanation(flags.explain!, model, explained);
  } finally {
    await model.close();
  }
  if (flags.json && results.length > 0) printJson(results.map((result) => ({ ...result, warnings: warningsTold() })));
  if (failures.length > 0)
    throw failures.length === 1 ? failures[0] : new InputError(failures.map((failure) => failure.message).join('; '));
}

function saveAll(saved: readonly SavedImage[], { save, savePixels: pixelFile, reals }: Flags): void {
  if (save !== undefined) saveOutputs(save, saved, { reals: reals === true });
  if (pixelFile !== undefined) savePixels(pixelFile, saved);
}

/** What stands above an image of the sheet: its name, and what the model takes it for. */
function titleOf({ path: file, predictions: [first] }: Result): string {
  const name = path.basename(file);
  return first === undefined
    ? name
    : `${name}: ${first.label ?? `class ${first.index}`}, ${percent(first.probability)}`;
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

let toldOfGrey = false;

function prepare(model: Model, image: PixelImage, file: string): Uint8Array {
  if (!toldOfGrey && model.file.program.input.channels === 1 && losesColour(image)) {
    toldOfGrey = true;
    notice('The model takes grey images: colours are turned grey.');
  }
  try {
    return model.prepare(image);
  } catch (error) {
    throw error instanceof InputError
      ? new InputError(`Cannot use ${file}: ${error.message}`, { cause: error })
      : error;
  }
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
    if (model.classes === 0) throw new InputError('The model has no classes: leave out --labels');
    const { readLabels } = await import('../images/label-list.js'); // rarely needed
    return await readLabels(file, model.classes);
  } catch (error) {
    await model.close();
    throw error;
  }
}

/** @throws UsageError, or InputError where the file cannot be written */
function checkSave({ save, savePixels: pixelFile, reals, explain }: Flags, inputs: readonly string[]): void {
  if (save === undefined && reals) throw new UsageError('--reals says how outputs are saved: give --save too');
  if (save !== undefined) outputFileKind(save);
  if (explain !== undefined && !/\.png$/i.test(explain))
    throw new UsageError('--explain writes a picture: name it .png');
  if (pixelFile !== undefined) checkPixelsName(pixelFile);
  checkOutputs(
    [
      { option: '--save', path: save, kind: 'file of outputs' },
      { option: '--explain', path: explain, kind: 'picture' },
      { option: '--save-pixels', path: pixelFile, kind: 'file of pixels' },
    ],
    inputs,
  );
}

async function inferOne(
  { model, labels }: LabelledModel,
  file: string,
  { image, wasTurned }: Decoded,
  flags: Flags,
): Promise<{ result: Result; outputs: OutputResult[]; pixels: Uint8Array }> {
  const pixels = prepare(model, image, file);
  const start = performance.now();
  const values = await model.run(pixels);
  const ms = performance.now() - start;
  const logits = model.logitsOf(values);
  const named = (one: Prediction) => (labels === null ? one : { ...one, label: labelText(labels[one.index]) });
  const predictions = model.predictions(logits, flags.top).map(named);
  // The classes of the classifier, under the names given.
  const isClassifiers = ({ isClasses, values: own }: OutputResult) => isClasses && own.byteOffset === logits.byteOffset;
  const outputs = model.results(values, flags.top).map((one) => (isClassifiers(one) ? { ...one, predictions } : one));
  const result = {
    path: file,
    predictions,
    ...(!isOnlyClassifier(outputs) && { outputs: outputs.map(summaryOf) }),
    ...(flags.logits && { logits: [...logits] }),
    ...(flags.digest && { digest: digestOf(values) }),
    ms,
    ...(wasTurned && { turned: true as const }),
  };
  return { result, outputs, pixels };
}

function printResult(
  { path: file, predictions, logits, digest }: Result,
  outputs: readonly OutputResult[],
  { top, separated }: { readonly top: number; readonly separated: boolean },
): void {
  if (digest !== undefined) {
    print(`${digest}  ${oneLine(file)}`); // as sha256sum writes it
    return;
  }
  const lines = isOnlyClassifier(outputs) ? predictionLines(predictions) : outputLines(outputs, top);
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
