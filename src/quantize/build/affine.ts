import type { AffineNode } from '../../graph/types.js';
import { wideDemand, type NodeBuilder } from './definition.js';
import { encodeFactorsAndOffsets } from './multipliers.js';
import { WIDE } from './program-builder.js';

export const affine: NodeBuilder<AffineNode> = {
  demand: wideDemand,
  form: wideDemand,
  build(node, _form, { builder }) {
    const { id, name, rows, cols } = node;
    const { value: x, scale } = builder.wide(node.x);
    const wideScale = builder.wideScale(id);
    const factors = Float64Array.from(node.scale, (s) => (s * scale[0]) / wideScale);
    const offsets = Float64Array.from(node.shift, (t) => t / wideScale);
    const requantized = encodeFactorsAndOffsets(factors, offsets, name);
    builder.defineWide(id, { op: 'rescale', name, rows, cols, out: WIDE, x, ...requantized });
  },
};
