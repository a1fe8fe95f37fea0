import type { MeanRowsNode } from '../../graph/types.js';
import { wideDemand, type NodeBuilder } from './definition.js';
import { encodeMultipliers } from './multipliers.js';
import { WIDE } from './program-builder.js';

export const meanRows: NodeBuilder<MeanRowsNode> = {
  demand: wideDemand,
  form: wideDemand,
  build({ id, name, rows, cols, group, x }, _form, { builder }) {
    const { value: source, scale } = builder.wide(x);
    const ratio = scale[0] / builder.wideScale(id);
    const factors = new Array<number>(cols).fill(ratio / group);
    const multipliers = encodeMultipliers(factors, name, multiplierBits(group) - (ratio === 1 ? 0 : 1));
    builder.defineWide(id, { op: 'meanRows', name, rows, cols, out: WIDE, x: source, group, ...multipliers });
  },
};

/**
 * Up to so many rows, 31 bits of 1/group fit (of any other number 30): 39 bits of shift, and the sums, 24 bits more,
 * stay below 2^63.
 */
const FEW_ROWS = 512;

/** Of more rows, the multiplier with a shift of 38: group · 2^24 · round(2^38 / group) stays near 2^62. */
function multiplierBits(group: number): number {
  return group <= FEW_ROWS ? 31 : 39 - Math.ceil(Math.log2(group));
}
