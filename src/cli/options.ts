/** Options that several commands share. */
import { readdirSync } from 'node:fs';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { MAX_THREADS } from '../api/checks.js';
import { BACKENDS } from '../engine/types.js';
import type { BackendName, EngineOptions } from '../engine/types.js';
import { UsageError } from '../errors.js';
import type { RecipeFlagTexts } from '../images/preprocess/flags.js';
import { PRESET_NAMES } from '../images/preprocess/presets.js';
import { INTERPOLATIONS } from '../images/resample.js';
import { suggestion } from '../names.js';

export interface MemoryFlags {
  readonly maxMemory?: number;
}

export interface EngineFlags extends MemoryFlags {
  readonly backend?: BackendName;
  readonly threads?: number;
}

export interface ModelFlags extends EngineFlags {
  readonly model?: string;
}

/** An option whose value is one of a few words. */
export function choice(flags: string, description: string, choices: readonly string[]): Option {
  return new Option(flags, description).choices(choices).argParser((text: string) => {
    if (choices.includes(text)) return text;
    throw new InvalidArgumentError(`It must be one of ${choices.join(', ')}${suggestion(text, choices) || '.'}`);
  });
}

const wholeNumber =
  (least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    const isTooLarge = /^\d+$/.test(text) && value > Number.MAX_SAFE_INTEGER;
    throw new InvalidArgumentError(
      isTooLarge ? `It must be at most ${Number.MAX_SAFE_INTEGER}.` : `It must be a whole number of at least ${least}.`,
    );
  };
export const positiveInteger = wholeNumber(1);
export const atLeastTwo = wholeNumber(2);

/** A number of threads that the machine can be asked for. */
export function threadCount(text: string): number {
  const value = positiveInteger(text);
  if (value <= MAX_THREADS) return value;
  throw new InvalidArgumentError(`This machine takes at most ${MAX_THREADS} threads.`);
}

/** Parsers of whole numbers, with the least that each takes. */
export const WHOLE_NUMBERS: ReadonlyMap<unknown, number> = new Map([
  [positiveInteger, 1],
  [atLeastTwo, 2],
  [threadCount, 1],
]);

type Collector<T> = (text: string, earlier?: readonly T[]) => T[];
const COLLECTORS = new WeakSet<object>();

/** A parser of an option that may be repeated. */
export function collecting<T>(parse: (text: string) => T): Collector<T> {
  const collect: Collector<T> = (text, earlier = []) => [...earlier, parse(text)];
  COLLECTORS.add(collect);
  return collect;
}

export const isRepeatable = ({ variadic, parseArg }: Option): boolean =>
  variadic || (parseArg !== undefined && COLLECTORS.has(parseArg));

export const collectNames = collecting((name) => name);

export function addThreadsOption(command: Command): Command {
  return command.option('--threads <n>', 'threads to use (default: all cores)', threadCount);
}

const UNITS = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** `512M`, `4G`, or bytes. */
function memorySize(text: string): number {
  const [, digits, unit] = /^([0-9]{1,15})([kmg]?)i?b?$/i.exec(text) ?? [];
  if (digits !== undefined) return Number(digits) * UNITS[unit.toLowerCase() as keyof typeof UNITS];
  throw new InvalidArgumentError('It must be a size like 512M or 4G.');
}

const FILE_UNITS = { '': 1, k: 1e3, m: 1e6, g: 1e9, ki: 2 ** 10, mi: 2 ** 20, gi: 2 ** 30 };

/** No model is as small: who asks for 4 bytes means another unit. */
const LEAST_FILE = 1000;

/** `4MB` (10^6 bytes each), `3.9M`, `3.7MiB`, or bytes. */
export function fileSize(text: string): number {
  const [, digits, unit] = /^(\d{1,12}(?:\.\d{1,6})?) ?((?:[kmg]i?)?)b?$/i.exec(text) ?? [];
  const size = Math.floor(Number(digits) * FILE_UNITS[unit?.toLowerCase() as keyof typeof FILE_UNITS]);
  if (size >= LEAST_FILE) return size;
  throw new InvalidArgumentError('It must be a size like 4MB, 900kB or 3.7MiB, of 1 kB or more.');
}

export function addMemoryOption(command: Command): Command {
  return command.option(
    '--max-memory <size>',
    'memory that the model may take beside its weights (default: 1G)',
    memorySize,
  );
}

export function addModelOptions(command: Command): Command {
  command.option('-m, --model <file>', 'the .ivit model (default: $IVIT_MODEL, else the only .ivit in this folder)');
  return addEngineOptions(command);
}

export function addEngineOptions(command: Command): Command {
  command.addOption(choice('--backend <name>', 'what runs the model (default: the fastest that loads)', BACKENDS));
  return addThreadsOption(addMemoryOption(command));
}

export function addRecipeOptions(command: Command): Command {
  return command
    .option('--size <size>', 'input size N or HxW, where the model leaves it open')
    .option('--crop-pct <share>', 'share of the resized image that the centre crop keeps')
    .option('--resize <size>', 'shorter edge N, or exactly HxW, before the crop')
    .addOption(choice('--preset <name>', 'usual mean and std', PRESET_NAMES))
    .option('--mean <r,g,b>', 'mean that the float model subtracts, for pixels of 0 to 1')
    .option('--std <r,g,b>', 'standard deviation that it divides by')
    .addOption(choice('--interpolation <name>', 'how images are resized', INTERPOLATIONS));
}

export type ExifFlag = 'auto' | 'apply' | 'ignore';

/** What `auto` means, each command says itself. */
export function addExifOption(command: Command, automatic: string): Command {
  return command.addOption(
    choice('--exif <mode>', `turn photographs upright by their EXIF orientation (auto: ${automatic})`, [
      'auto',
      'apply',
      'ignore',
    ]).default('auto'),
  );
}

export type RecipeOptionValues = RecipeFlagTexts;

export function engineOptions({ backend, threads, maxMemory }: EngineFlags): EngineOptions {
  return { backend, threads, maxMemory };
}

/**
 * The model to use: the one named, else that of the environment, else the only one in the current folder.
 *
 * @throws UsageError where there is none, or several, which it lists
 */
export function findModel(flags: ModelFlags): string {
  const found = findModelIfAny(flags);
  if (found !== undefined) return found;
  throw new UsageError(
    'No model given: name one with -m or $IVIT_MODEL; there is no .ivit file in this folder ' +
      '(ivit quantize model.onnx makes one)',
  );
}

/**
 * As `findModel`, but undefined where there is none.
 *
 * @throws UsageError where there are several
 */
export function findModelIfAny({ model }: ModelFlags): string | undefined {
  const named = model ?? process.env['IVIT_MODEL'];
  if (named) return named;
  const found = readdirSync('.')
    .filter((name) => /^[^.].*\.ivit$/.test(name))
    .sort();
  if (found.length <= 1) return found[0];
  throw new UsageError(`No model given, and this folder has several: ${found.join(', ')}; name one`);
}
