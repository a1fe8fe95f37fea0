/** The one guard of the files and folders that a command reads. */
import { existsSync } from 'node:fs';
import { InputError } from '../errors.js';
import { looksLikePattern } from '../images/datasets/pattern.js';
import { nearFile } from '../near-file.js';

/**
 * Checks that inputs are there, before any work.
 *
 * @param patterns those of them that may name several files; they are opened later
 * @throws InputError for the first that is not there
 */
export function checkInputs(inputs: readonly (string | undefined)[], patterns: readonly (string | undefined)[]): void {
  for (const input of inputs)
    if (input !== undefined && !existsSync(input) && !(patterns.includes(input) && looksLikePattern(input)))
      throw new InputError(`No such file or folder: ${input}${nearFile(input)}`, { code: 'NOT_FOUND' });
}
