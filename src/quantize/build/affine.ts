import type { AffineNode } from '../../graph/types.js';
import { wideDemand, type NodeBuilder } from './definition.js';
import { encodeMultipliers, encodeOffsets } from './multipliers.js';
import { WIDE } from './program-builder.js';

export const affine: NodeBuilder<AffineNode> = {
  demand: wideDemand,
  form: wideDemand,
  build(node, _form, { builder }) {
    const { id, name, rows, cols } = node;
    const { multiplier, shift } = encodeMultipliers(node.scale, name);
    const offset = encodeOffsets(
      Float64Array.from(node.shift, (t) => t / builder.wideScale),
      shift,
    );
    const x = builder.wide(node.x).value;
    builder.defineWide(id, { op: 'rescale', name, rows, cols, out: WIDE, x, multiplier, offset, shift });
  },
};
