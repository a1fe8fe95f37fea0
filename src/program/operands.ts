import type { Op, ValueId } from './types.js';

/**
 * The values an op reads, in the order that engines take them: the image for `patches`; x, then the residual, for
 * `linear`; q, k, v for `attention`; a, b for `add`; the sources for `gather`; none for `constant`. One value may
 * occur more than once.
 */
export function operandsOf(op: Op): readonly ValueId[] {
  switch (op.op) {
    case 'patches':
      return [0];
    case 'constant':
      return [];
    case 'linear':
      return op.residual === null ? [op.x] : [op.x, op.residual];
    case 'attention':
      return [op.q.x, op.k.x, op.v.x];
    case 'add':
      return [op.a, op.b];
    case 'gather':
      return op.sources;
    case 'layerNorm':
    case 'activation':
    case 'paperNorm':
    case 'paperGelu':
    case 'rescale':
    case 'meanRows':
      return [op.x];
  }
}
