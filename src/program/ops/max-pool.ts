import { elements, type OpBase, type ValueId } from '../value.js';
import { integer, type OpDefinition } from './definition.js';
import { geometryFields, hasTapsInside, tapsOf, validateMoved, type Geometry } from './geometry.js';

/** The largest tap of each window that lies inside the map, channel by channel. Writes the type of x. */
export interface MaxPoolOp extends OpBase, Geometry {
  readonly op: 'maxPool';
  readonly x: ValueId;
}

export const maxPool: OpDefinition<MaxPoolOp> = {
  fields: { x: integer, ...geometryFields },
  tensors: () => [],
  operands: (op) => [op.x],
  validate(op, check, { values }) {
    validateMoved(op, values[op.x], 1, check);
    check.that(hasTapsInside(op), 'a window of it lies outside the map');
  },
  bound: () => 0n,
  visits: (op) => elements(op) * tapsOf(op),
};
