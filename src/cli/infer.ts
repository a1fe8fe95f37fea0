import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import { InputError, UsageError } from '../errors.js';
import type { ExplainImage } from '../api/explain.js';
import { inferInOrder } from '../api/infer-images.js';
import type { Inferred } from '../api/infer-images.js';
import { Model } from '../api/model.js';
import { NOT_INTEGER_ONLY } from '../program/integer-only.js';
import { checkOutputNames, checkPixelsName, outputFileKind, saveOutputs, savePixels } from '../api/output-file.js';
import type { SavedImage } from '../api/output-file.js';
import { checkOutputs } from '../api/outputs.js';
import type { StoredImage } from '../images/datasets/index.js';
import { addExamples } from './examples.js';
import { RowPrinter, addFormatOption } from './format.js';
import type { FormatFlags } from './format.js';
import { STANDARD_INPUT, checkWatchable, expandImages } from './image-files.js';
import { INFER_CELLS, printResult, resultOf, rowsOf, titleOf } from './infer-result.js';
import type { ImageResult, Wanted } from './infer-result.js';
import { engineText, noticeSlowKernels } from './kernels.js';
import { addExifOption, addModelOptions, engineOptions, findModel, positiveInteger } from './options.js';
import type { ExifFlag, ModelFlags } from './options.js';
import { notice, printJson, warn, warningsTold } from './render.js';

interface Flags extends ModelFlags, FormatFlags {
  readonly watch?: string;
  readonly top: number;
  readonly labels?: string;
  readonly logits?: boolean;
  readonly digest?: boolean;
  readonly savePixels?: string;
  readonly save?: string;
  readonly reals?: boolean;
  readonly explain?: string;
  readonly exif: ExifFlag;
  readonly verbose?: boolean;
}

export function addInferCommand(program: Command): void {
  const command = program
    .command('infer')
    .description('run images through an integer model: classes, or a summary of each output')
    .argument('[images...]', 'image files, folders, patterns like "photos/*.jpg", or - for standard input')
    .option('--watch <dir>', 'then go on with images that are put into a folder, until interrupted')
    .option('--top <n>', 'how many classes to show', positiveInteger, 5)
    .option('--labels <file>', "class names in place of the model's: one a line, or JSON")
    .option('--logits', 'give the integer logits too')
    .option('--digest', 'print the SHA-256 of the integer outputs, a line for each image, in place of classes')
    .option('--save-pixels <file.bin>', 'write the pixels that the network reads: u8, all images end to end')
    .option('--save <file>', 'write every output to a .npz or .safetensors file, images stacked, as integers and scale')
    .option('--reals', 'save real numbers, as the float model gives them')
    .option('--explain <out.png>', 'draw where the model looked, all images on one sheet')
    .option('--verbose', 'tell what runs the model, and why');
  addFormatOption(command, 'each class of each image (csv), or each image (jsonl)');
  addExifOption(command, 'they are turned');
  addModelOptions(command).action(run);
  addExamples(command, {
    'infer photo.jpg': 'the five likeliest classes',
    'infer photos/ -m model.ivit --top 1 --format csv': 'a folder, as a table for other programs',
    'infer --watch inbox/ --format jsonl': 'whatever is put into a folder, until Ctrl-C',
    'infer photo.jpg --explain map.png': 'where the model looked',
  });
}

async function run(patterns: readonly string[], flags: Flags): Promise<void> {
  checkFlags(patterns, flags);
  const images = await expandImages(patterns);
  const modelFile = findModel(flags);
  checkSave(flags, [modelFile, ...images]);
  noticeSlowKernels(flags.backend);
  const loading = Model.load(modelFile, engineOptions(flags));
  // The first images are decoded while the model loads; standard input is not waited for where that fails.
  if (images.includes(STANDARD_INPUT)) await loading;
  const found = inferFiles(loading, images, flags.exif);
  const first = found.next();
  first.catch(() => undefined); // whoever waits for it gets the error
  const model = await loading;
  if (flags.verbose === true) notice(engineText(model, flags.backend));
  if (!model.integerOnly) warn(NOT_INTEGER_ONLY);
  try {
    const { format } = flags;
    const rows = format === 'csv' || format === 'jsonl' ? await RowPrinter.open(format, INFER_CELLS) : null;
    const isOne = images.length === 1 && flags.watch === undefined;
    const printer = new InferPrinter(model, { ...flags, isOne }, await wantedOf(model, flags), rows);
    const drawing = flags.explain === undefined ? null : await import('../api/explain.js'); // rarely needed
    drawing?.checkExplainable(model, images.length);
    for (let next = await first; next.done !== true; next = await found.next()) printer.take(next.value);
    if (flags.watch !== undefined) await watch(model, flags.watch, flags.exif, printer);
    const { saved, explained } = printer;
    if (saved.length > 0) saveAll(saved, flags);
    if (explained.length > 0) await drawing?.saveExplanation(flags.explain!, model, explained);
    printer.end();
  } finally {
    await found.return(undefined);
    await model.close();
  }
}

interface Found {
  readonly file: string;
  readonly input: Inferred | { readonly reason: string };
}

/** In order, as fast as the engine takes them. */
async function* inferFiles(
  model: Model | Promise<Model>,
  files: readonly string[],
  exif: ExifFlag,
): AsyncGenerator<Found, undefined> {
  async function* read(indices: readonly number[]): AsyncGenerator<StoredImage> {
    for (const i of indices) yield files[i] === STANDARD_INPUT ? await buffer(process.stdin) : files[i]!;
  }
  const nameOf = (file: string): string => (file === STANDARD_INPUT ? 'standard input' : file);
  const items = files.map((file) => ({ path: nameOf(file), label: null }));
  const indices = Array.from(files, (_, i) => i);
  const mode = exif === 'ignore' ? 'ignore' : 'apply';
  const choice = { dataset: { items, read }, indices, exif: mode, needClass: false } as const;
  for await (const { index, input } of inferInOrder(model, choice)) yield { file: files[index]!, input };
  return undefined;
}

async function watch(model: Model, folder: string, exif: ExifFlag, printer: InferPrinter): Promise<void> {
  const { newImages } = await import('./watch.js'); // rarely needed
  const ready = () => notice(`Watching ${folder} for images that are put into it; Ctrl-C ends it.`);
  for await (const files of newImages(folder, ready))
    for await (const found of inferFiles(model, files, exif)) printer.take(found);
}

/** Prints results as they come, keeps what is written in the end, and counts what could not be used. */
class InferPrinter {
  readonly saved: SavedImage[] = [];
  readonly explained: ExplainImage[] = [];
  private readonly kept: ImageResult[] = [];
  private readonly failures: string[] = [];
  private count = 0;
  private hasTold = { turning: false, grey: false };

  constructor(
    private readonly model: Model,
    private readonly flags: Flags & { readonly isOne: boolean },
    private readonly wanted: Wanted,
    private readonly rows: RowPrinter<ReturnType<typeof rowsOf>[number]> | null,
  ) {}

  take({ file, input }: Found): void {
    this.count++;
    if ('reason' in input) this.fail(file, input.reason);
    else this.print(file, input);
  }

  /** @throws InputError where images could not be used */
  end(): void {
    const { kept, failures, count } = this;
    if (this.flags.format === 'json' && kept.length > 0)
      printJson(kept.map((result) => ({ ...result, warnings: warningsTold() })));
    if (failures.length === 0) return;
    throw new InputError(this.flags.isOne ? failures[0]! : `${failures.length} of ${count} images could not be used`);
  }

  private fail(file: string, reason: string): void {
    this.failures.push(reason);
    if (this.flags.format === 'jsonl') this.rows?.print([], { path: file, error: reason });
    // Of one image the command's own error tells.
    if (!this.flags.isOne) warn(reason);
  }

  private print(file: string, input: Inferred): void {
    this.tell(input);
    const { result, outputs } = resultOf(this.model, file, input, this.wanted);
    const { format, explain, save, savePixels: pixelFile, top } = this.flags;
    const { pixels } = input;
    if (explain !== undefined) this.explained.push({ title: titleOf(result), pixels });
    if (save !== undefined || pixelFile !== undefined) this.saved.push({ path: file, outputs, pixels });
    if (format === 'json') this.kept.push(result);
    else if (this.rows === null) printResult(result, outputs, { top, isFirst: this.count === 1 });
    else this.rows.print(rowsOf(result, outputs), result);
  }

  /** Once for all images. */
  private tell({ isTurned, isColoured }: Inferred): void {
    const { hasTold, wanted } = this;
    if (isTurned && wanted.turns && !hasTold.turning)
      notice('Images are turned upright by their EXIF orientation; --exif ignore keeps the stored pixels.');
    if (isColoured && !hasTold.grey) notice('The model takes grey images: colours are turned grey.');
    this.hasTold = { turning: hasTold.turning || isTurned, grey: hasTold.grey || isColoured };
  }
}

/** @throws UsageError for options that exclude each other */
function checkFlags(patterns: readonly string[], { watch: folder, format, ...flags }: Flags): void {
  if (format === 'csv' && flags.logits === true)
    throw new UsageError('--logits are a list, which CSV has no place for: give --format jsonl or json');
  if (patterns.length === 0 && folder === undefined)
    throw new UsageError('No image given: name files, folders, patterns, or - for standard input; or --watch a folder');
  if (folder === undefined) return;
  checkWatchable(folder);
  if (format === 'json') throw new UsageError('--watch has no end, and JSON one: give --format jsonl');
  for (const option of ['save', 'savePixels', 'explain'] as const)
    if (flags[option] !== undefined)
      throw new UsageError(`--watch has no end, and the file of --${option.replace('P', '-p')} one: leave out either`);
}

/** @throws UsageError, or InputError where labels or outputs do not fit the model */
async function wantedOf(model: Model, { save, reals, exif, labels, top, logits, digest }: Flags): Promise<Wanted> {
  const outputs = model.outputs.map(({ name }) => name);
  if (save !== undefined) checkOutputNames(save, outputs, { reals: reals === true });
  return {
    top,
    labels: labels === undefined ? null : await labelsFor(model, labels),
    logits: logits === true,
    digest: digest === true,
    turns: exif !== 'ignore',
  };
}

async function labelsFor(model: Model, file: string): Promise<readonly string[]> {
  if (model.classes === 0) throw new InputError('The model has no classes: leave out --labels');
  const { readLabels } = await import('../images/label-list.js'); // rarely needed
  return readLabels(file, model.classes);
}

function saveAll(saved: readonly SavedImage[], { save, savePixels: pixelFile, reals }: Flags): void {
  if (save !== undefined) saveOutputs(save, saved, { reals: reals === true });
  if (pixelFile !== undefined) savePixels(pixelFile, saved);
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
