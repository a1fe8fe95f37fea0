/** The work of one image, from the sizes of a program's ops alone. */
import { InputError } from '../errors.js';
import { MAX_WORK } from './limits.js';
import { definitionOf, type Op } from './ops/index.js';
import type { Program } from './types.js';
import { elements } from './value.js';

/** What an element costs that is written, or looked at: a requantization, an exponential; a copy costs less. */
const ELEMENT_WORK = 16;

/** In multiply-accumulates, about. */
export function workOf({ ops }: Program): number {
  return ops.reduce((sum, op) => sum + workOfOp(op), 0);
}

function workOfOp(op: Op): number {
  const { macs, visits } = definitionOf(op);
  return (macs?.(op) ?? 0) + ELEMENT_WORK * (elements(op) + (visits?.(op) ?? 0));
}

/**
 * Refuses a program that would compute for hours on one image: no model does, and a small file could keep a machine
 * busy for years.
 *
 * @param program one that `validateProgram` has passed
 */
export function checkWork(program: Program): void {
  const work = workOf(program);
  if (work <= MAX_WORK) return;
  throw new InputError(
    `The model takes ${work} steps for one image, more than the ${MAX_WORK} that ivit runs: quantize it for a ` +
      'smaller image',
  );
}
