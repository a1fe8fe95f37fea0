import type { AffineNode } from '../../graph/types.js';
import { wideDemand, type NodeBuilder } from './definition.js';
import { encodeFactorsAndOffsets } from './multipliers.js';
import { WIDE } from './program-builder.js';

export const affine: NodeBuilder<AffineNode> = {
  demand: wideDemand,
  form: wideDemand,
  build(node, _form, { builder }) {
    const { id, name, rows, cols } = node;
    const offsets = Float64Array.from(node.shift, (t) => t / builder.wideScale);
    const requantized = encodeFactorsAndOffsets(node.scale, offsets, name);
    const x = builder.wide(node.x).value;
    builder.defineWide(id, { op: 'rescale', name, rows, cols, out: WIDE, x, ...requantized });
  },
};
