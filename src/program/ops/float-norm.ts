import type { OpDefinition } from './definition.js';
import { layerNorm, type LayerNormOp } from './layer-norm.js';

/** `layerNorm` in float32 (see `normFloat`), in the same unit: a model that has it is not integer-only. */
export interface FloatNormOp extends Omit<LayerNormOp, 'op'> {
  readonly op: 'floatNorm';
}

/** Rules and bound are those of `layerNorm`, which no other field tells it from. */
export const floatNorm: OpDefinition<FloatNormOp> = {
  ...(layerNorm as unknown as OpDefinition<FloatNormOp>),
  isFloat: () => true,
};
