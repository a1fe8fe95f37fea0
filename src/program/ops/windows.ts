import type { OpBase, ValueId } from '../value.js';
import { integer, type OpDefinition } from './definition.js';
import { geometryFields, tapsOf, validateMoved, type Geometry } from './geometry.js';

/**
 * Cuts a feature map into windows: row (oy, ox) holds kernel·kernel·channels elements in (ky, kx, channel) order. Taps
 * outside the map hold the zero point of `u8`, else 0. Writes the type of x. With a linear layer it is a convolution.
 */
export interface WindowsOp extends OpBase, Geometry {
  readonly op: 'windows';
  readonly x: ValueId;
}

export const windows: OpDefinition<WindowsOp> = {
  fields: { x: integer, ...geometryFields },
  tensors: () => [],
  operands: (op) => [op.x],
  validate(op, check, { values }) {
    validateMoved(op, values[op.x], tapsOf(op), check);
  },
  bound: () => 0n,
};
