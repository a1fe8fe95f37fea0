import { statSync } from 'node:fs';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import { glob, isDynamicPattern } from 'tinyglobby';
import { InputError, UsageError } from '../errors.js';
import { decodeImage } from '../images/decode.js';
import { Model } from '../library/model.js';
import type { Prediction } from '../library/model.js';
import { addModelOptions, engineOptions, findModel, positiveInteger } from './options.js';
import type { ModelFlags } from './options.js';
import { percent, print, printJson } from './render.js';

interface Flags extends ModelFlags {
  readonly top: number;
  readonly logits?: boolean;
  readonly json?: boolean;
}

interface Result {
  readonly path: string;
  readonly predictions: readonly Prediction[];
  readonly logits?: readonly number[];
  /** Of inference alone, without decoding and resizing. */
  readonly ms: number;
}

const STANDARD_INPUT = '-';

export function addInferCommand(program: Command): void {
  const command = program
    .command('infer')
    .description('classify images with an integer model')
    .argument('<images...>', 'image files, patterns like "photos/*.jpg", or - for standard input')
    .option('--top <n>', 'how many classes to show', positiveInteger, 5)
    .option('--logits', 'give the integer logits too')
    .option('--json', 'print the results as JSON');
  addModelOptions(command).action(run);
}

async function run(patterns: readonly string[], flags: Flags): Promise<void> {
  const images = await expand(patterns);
  const model = await Model.load(findModel(flags), engineOptions(flags));
  const results: Result[] = [];
  const failures: InputError[] = [];
  try {
    for (const image of images) {
      try {
        results.push(await inferOne(model, image, flags));
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
  if (flags.json && results.length > 0) printJson(results);
  if (failures.length > 0) throw failures.length === 1 ? failures[0] : new InputError(failures.map((failure) => failure.message).join('; '));
}

async function inferOne(model: Model, file: string, flags: Flags): Promise<Result> {
  const image =
    file === STANDARD_INPUT ? await decodeImage(await buffer(process.stdin), 'standard input') : await decodeImage(file);
  const pixels = model.prepare(image);
  const start = performance.now();
  const logits = await model.run(pixels);
  const ms = performance.now() - start;
  const predictions = model.predictions(logits, flags.top);
  return { path: file, predictions, ...(flags.logits && { logits: [...logits] }), ms };
}

function printResult({ path: file, predictions, logits }: Result, separated: boolean): void {
  const lines = predictions.map(
    ({ index, label, probability }) => `  ${percent(probability).padStart(7)}  ${label === null ? `class ${index}` : `${label} (${index})`}`,
  );
  if (logits !== undefined) lines.push(`  logits: ${logits.join(' ')}`);
  print(...(separated ? [''] : []), file, ...lines);
}

/** Files as named; patterns replaced by the files they match, in order, each file once. */
async function expand(patterns: readonly string[]): Promise<string[]> {
  if (patterns.filter((pattern) => pattern === STANDARD_INPUT).length > 1) throw new UsageError('Standard input (-) can be read once only');
  const images = new Set<string>();
  for (const pattern of patterns) {
    const isPattern = isDynamicPattern(pattern) && statSync(pattern, { throwIfNoEntry: false }) === undefined;
    const matches = isPattern ? (await glob(pattern, { expandDirectories: false, absolute: path.isAbsolute(pattern) })).sort() : [pattern];
    if (matches.length === 0) throw new InputError(`No file matches ${pattern}`);
    for (const match of matches) images.add(match);
  }
  return [...images];
}
