import { definitionOf, type Op } from './ops/index.js';
import type { ValueId } from './value.js';

/**
 * The values an op reads, in the order that engines take them: the image for `patches`; x, then the residual, for
 * `linear`; q, k, v for `attention`; a, b for `add`; the sources for `gather`; none for `constant`. One value may
 * occur more than once.
 */
export function operandsOf(op: Op): readonly ValueId[] {
  return definitionOf(op).operands(op);
}
