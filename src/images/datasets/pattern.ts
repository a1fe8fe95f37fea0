/** Names that stand for several files: `shard-{0000..0146}.tar`, `test-*.parquet`. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { InputError } from '../../errors.js';
import { byCodeUnits } from './files.js';

/** More files than any dataset has. */
const MAX_FILES = 100_000;

/** Whether a text has the signs of a pattern; a file may have them in its name too. */
export const looksLikePattern = (text: string): boolean => /[{*?[]/.test(text);

/** Whether a text is a pattern, and no file has it for its name. */
export async function isPattern(text: string): Promise<boolean> {
  return looksLikePattern(text) && (await stat(text).catch(() => undefined)) === undefined;
}

/**
 * The files that a pattern stands for: of braces in their order, else in name order.
 *
 * @throws InputError where one of the files between braces is not there, or nothing matches
 */
export async function expandPattern(pattern: string): Promise<string[]> {
  const files: string[] = [];
  for (const name of expandBraces(pattern)) {
    if (/[*?[]/.test(name)) files.push(...(await matching(name)));
    else if ((await stat(name).catch(() => undefined))?.isFile()) files.push(name);
    else throw new InputError(`No such file: ${name}, which ${pattern} stands for`, { code: 'NOT_FOUND' });
  }
  if (files.length === 0) throw new InputError(`No file matches ${pattern}`);
  return [...new Set(files)];
}

async function matching(pattern: string): Promise<string[]> {
  const { glob } = await import('tinyglobby');
  const found = await glob(pattern, { expandDirectories: false, absolute: path.isAbsolute(pattern) });
  return found.sort(byCodeUnits);
}

/** `{01..03}` as 01, 02, 03, and `{a,b}` as a, b, as shells do. */
function expandBraces(pattern: string): string[] {
  const brace = /\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}/.exec(pattern);
  if (brace === null) return [pattern];
  const [whole, first, last, list] = brace;
  const before = pattern.slice(0, brace.index);
  const parts = list === undefined ? numbersBetween(first!, last!, pattern) : list.split(',');
  const ends = expandBraces(pattern.slice(brace.index + whole.length));
  if (parts.length * ends.length > MAX_FILES) throw tooMany(pattern);
  // The first brace changes slowest.
  return parts.flatMap((part) => ends.map((after) => before + part + after));
}

function numbersBetween(first: string, last: string, pattern: string): string[] {
  const [from, to] = [Number(first), Number(last)];
  if (!(to >= from && to - from < MAX_FILES)) throw tooMany(pattern);
  const width = first.startsWith('0') || last.startsWith('0') ? Math.max(first.length, last.length) : 0;
  return Array.from({ length: to - from + 1 }, (_, i) => String(from + i).padStart(width, '0'));
}

function tooMany(pattern: string): InputError {
  return new InputError(`${pattern} stands for more than ${MAX_FILES} files, or for none`);
}
