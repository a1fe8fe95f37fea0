import type { Dtype } from '../container.js';
import { outputRange } from '../limits.js';
import { elements, type OpBase, type ValueType } from '../value.js';
import type { OpDefinition } from './definition.js';

/** A constant value: class and register tokens, learned queries, position embeddings, factors. `i32`, `i16` or `i8`. */
export interface ConstantOp extends OpBase {
  readonly op: 'constant';
  /** [rows, cols]. */
  readonly data: Int32Array | Int16Array | Int8Array;
}

/** How each type that a constant may have is held, in memory and in a file. */
const FORMS: Partial<
  Record<ValueType, { readonly array: typeof Int32Array | typeof Int16Array | typeof Int8Array; readonly dtype: Dtype }>
> = {
  i32: { array: Int32Array, dtype: 'I32' },
  i16: { array: Int16Array, dtype: 'I16' },
  i8: { array: Int8Array, dtype: 'I8' },
};

export const constant: OpDefinition<ConstantOp> = {
  fields: {},
  tensors: (op) => [{ field: 'data', dtype: FORMS[op.out.type]?.dtype ?? 'I32', shape: [op.rows, op.cols] }],
  operands: () => [],
  validate(op, check) {
    check.writes('i32', 'i16', 'i8');
    check.that(op.data.constructor === FORMS[op.out.type]?.array, `its data are not ${op.out.type}`);
    check.length('data', op.data, elements(op));
    const { lo, hi } = outputRange(op.out);
    check.within('data', op.data, lo, hi);
  },
  bound: () => 0n,
  parameters: (op) => op.data.length,
};
