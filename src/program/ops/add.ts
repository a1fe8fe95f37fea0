import { elements, type OpBase, type ValueId } from '../value.js';
import { integer, type OpDefinition } from './definition.js';

/** clamp(a + b, ±(2^24 − 1)) of two i32 values; one of them may be a constant. */
export interface AddOp extends OpBase {
  readonly op: 'add';
  readonly a: ValueId;
  readonly b: ValueId;
}

export const add: OpDefinition<AddOp> = {
  fields: { a: integer, b: integer },
  tensors: () => [],
  operands: (op) => [op.a, op.b],
  validate(op, check, { values }) {
    check.writes('i32');
    for (const what of ['a', 'b'] as const) {
      check.type(what, values[op[what]], 'i32');
      check.sameElements(what, values[op[what]], elements(op));
    }
  },
  bound: () => 0n,
};
