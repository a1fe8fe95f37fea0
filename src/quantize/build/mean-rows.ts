import type { MeanRowsNode } from '../../graph/types.js';
import { wideDemand, type NodeBuilder } from './definition.js';
import { encodeMultipliers } from './multipliers.js';
import { WIDE } from './program-builder.js';

export const meanRows: NodeBuilder<MeanRowsNode> = {
  demand: wideDemand,
  form: wideDemand,
  build({ id, name, rows, cols, group, x }, _form, { builder }) {
    const multipliers = encodeMultipliers(new Array<number>(cols).fill(1 / group), name, multiplierBits(group));
    const source = builder.wide(x).value;
    builder.defineWide(id, { op: 'meanRows', name, rows, cols, out: WIDE, x: source, group, ...multipliers });
  },
};

/** Up to so many rows, 31 bits of 1/group fit: 39 bits of shift, and the sums, 24 bits more, stay below 2^63. */
const FEW_ROWS = 512;

/** Of more rows, the multiplier with a shift of 38: group · 2^24 · round(2^38 / group) stays near 2^62. */
function multiplierBits(group: number): number {
  return group <= FEW_ROWS ? 31 : 39 - Math.ceil(Math.log2(group));
}
