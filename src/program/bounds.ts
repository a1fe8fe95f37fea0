/**
 * The overflow proof: for any image whatever, no intermediate result of a program leaves the width that the engines
 * hold it in. It needs the file's own numbers alone (weights, biases, multipliers, the clamps of each type).
 */
import { definitionOf } from './ops/index.js';
import type { Program } from './types.js';
import { valuesOf } from './validate.js';

/**
 * Proves that no op can overflow.
 *
 * @param program one that `validateProgram` has passed
 * @throws InputError naming the first op for which the proof fails
 */
export function proveNoOverflow(program: Program): void {
  const values = valuesOf(program);
  for (const op of program.ops) {
    // Of most layers the number of weights proves it, which spares whoever loads a model a look at millions of them.
    const { isProvenBySize, bound } = definitionOf(op);
    if (!isProvenBySize?.(op, values)) bound(op, values);
  }
}

/**
 * Proves that no op can overflow, and tells how large its numbers can become.
 *
 * @param program one that `validateProgram` has passed
 * @returns of each op, in order, the most of |v|, the integer that is requantized: accumulator, normalized value, sum.
 * 0 for ops without requantization. Attention: of the normalised weighted sum o
 * @throws InputError naming the first op for which the proof fails
 */
export function proveBounds(program: Program): bigint[] {
  const values = valuesOf(program);
  return program.ops.map((op) => definitionOf(op).bound(op, values));
}
