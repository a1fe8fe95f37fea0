import type { MeanRowsNode } from '../../graph/types.js';
import { wideDemand, type NodeBuilder } from './definition.js';
import { encodeMultipliers } from './multipliers.js';
import { WIDE } from './program-builder.js';

export const meanRows: NodeBuilder<MeanRowsNode> = {
  demand: wideDemand,
  form: wideDemand,
  build({ id, name, rows, cols, group, x }, _form, { builder }) {
    const multipliers = encodeMultipliers(new Array<number>(cols).fill(1 / group), name);
    const source = builder.wide(x).value;
    builder.defineWide(id, { op: 'meanRows', name, rows, cols, out: WIDE, x: source, group, ...multipliers });
  },
};
