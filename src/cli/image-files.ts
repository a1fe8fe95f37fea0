/** The images that a command line names. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { InputError, UsageError } from '../errors.js';
import { notice } from './render.js';

export const STANDARD_INPUT = '-';

/**
 * Files as named; folders and patterns replaced by the images in them and the files they match, each file once.
 *
 * @throws InputError where a folder or pattern gives none; UsageError where standard input is named twice
 */
export async function expandImages(patterns: readonly string[]): Promise<string[]> {
  if (patterns.filter((pattern) => pattern === STANDARD_INPUT).length > 1)
    throw new UsageError('Standard input (-) can be read once only: name it once');
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

/** @throws InputError where there is no such folder */
export function checkWatchable(folder: string): void {
  const info = statSync(folder, { throwIfNoEntry: false });
  if (info === undefined) throw new InputError(`There is no folder ${folder} to watch: make it first`);
  if (!info.isDirectory()) throw new InputError(`${folder} is no folder: name the one to watch`);
}
