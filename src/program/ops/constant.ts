import { outputRange } from '../limits.js';
import { elements, type OpBase } from '../value.js';
import type { OpDefinition } from './definition.js';

/** A constant value: class and register tokens, learned queries, position embeddings. `i32` or `i8`. */
export interface ConstantOp extends OpBase {
  readonly op: 'constant';
  /** [rows, cols]. */
  readonly data: Int32Array | Int8Array;
}

export const constant: OpDefinition<ConstantOp> = {
  fields: {},
  tensors: (op) => [{ field: 'data', dtype: op.out.type === 'i8' ? 'I8' : 'I32', shape: [op.rows, op.cols] }],
  operands: () => [],
  validate(op, check) {
    check.writes('i32', 'i8');
    check.that(op.data instanceof Int8Array === (op.out.type === 'i8'), `its data are not ${op.out.type}`);
    check.length('data', op.data, elements(op));
    const { lo, hi } = outputRange(op.out);
    check.within('data', op.data, lo, hi);
  },
  bound: () => 0n,
  parameters: (op) => op.data.length,
};
