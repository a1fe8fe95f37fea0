import { InputError } from '../errors.js';
import { definitionOf } from './ops/index.js';
import type { Op, Program } from './types.js';

const isFloat = (op: Op): boolean => definitionOf(op).isFloat?.(op) ?? false;

/** Whether no op computes in floating point. */
export function isIntegerOnly({ ops }: Pick<Program, 'ops'>): boolean {
  return !ops.some(isFloat);
}

/** What a model that is not integer-only is told of. */
export const NOT_INTEGER_ONLY =
  'This model is not integer-only: its softmax, GELU and LayerNorm are computed in float32 (--kernels float)';

/**
 * @param what cannot go on
 * @throws InputError where an op computes in floating point
 */
export function requireIntegers(program: Pick<Program, 'ops'>, what: string): void {
  const op = program.ops.find(isFloat);
  if (op === undefined) return;
  throw new InputError(
    `${NOT_INTEGER_ONLY}, first in op ${JSON.stringify(op.name)}; ${what}. Quantize it with other --kernels`,
  );
}
