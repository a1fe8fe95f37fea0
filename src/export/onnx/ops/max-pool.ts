import type { MaxPoolOp } from '../../../program/types.js';
import { cutMap } from '../maps.js';
import { asMatrix } from '../value.js';
import type { WriteOp } from './definition.js';

/** The least number of each type in which values are held: it is never the largest where a tap lies inside the map. */
const LEAST = { uint8: 0, int8: -128, int32: -(2 ** 31) };

export const maxPool: WriteOp<MaxPoolOp> = (g, op, [x]) => {
  const { out, rows, cols } = op;
  const map = asMatrix(g, x, cols);
  const cut = cutMap(g, map, op, cols, LEAST[map.type as keyof typeof LEAST]);
  return { out, rows, cols, data: g.reduce('ReduceMax', cut, 1, 0), rowScale: null };
};
