import { zeroPoint, type OpBase, type ValueId } from '../value.js';
import { integer, type OpDefinition } from './definition.js';
import { geometryFields, tapsOf, validateGeometry, type Geometry } from './geometry.js';

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
    const x = values[op.x];
    check.type('x', x, 'u8', 'i8', 'i16', 'i32');
    check.writes(x.out.type);
    check.that(
      zeroPoint(op.out) === zeroPoint(x.out),
      `x has zero point ${zeroPoint(x.out)}, not ${zeroPoint(op.out)}`,
    );
    validateGeometry(op, x, tapsOf(op), check);
  },
  bound: () => 0n,
};
