/** Filling a value row by row with requantized integers. */
import { quantizeRow } from '../../kernels/output.js';
import { requantize } from '../../kernels/dyadic.js';
import { outputRange } from '../../program/limits.js';
import type { Op } from '../../program/types.js';
import type { Value } from '../types.js';
import { allocate } from '../values.js';

/** Fills a fresh value row by row; `compute` writes the clamped integers of one row. */
export function byRow(op: Op, compute: (r: number, row: Int32Array) => void): Value {
  const value = allocate(op);
  const row = new Int32Array(op.cols);
  const zero = op.out.type === 'u8' ? op.out.zero : 0;
  for (let r = 0; r < op.rows; r++) {
    compute(r, row);
    const at = r * op.cols;
    if (value.rowScale !== null) value.rowScale[r] = quantizeRow(row, value.data as Uint8Array, at);
    else for (let n = 0; n < op.cols; n++) value.data[at + n] = row[n] + zero;
  }
  return value;
}

/** The same for an op that requantizes: `compute` writes the integers before that, v of `requantize(v, n)`. */
export function requantizedByRow<V extends Int32Array | number[]>(
  op: Op & { readonly multiplier: Int32Array; readonly offset?: BigInt64Array; readonly shift: number },
  v: V,
  compute: (r: number, v: V) => void,
): Value {
  const { lo, hi } = outputRange(op.out);
  return byRow(op, (r, row) => {
    compute(r, v);
    for (let n = 0; n < op.cols; n++)
      row[n] = requantize(v[n], { b: op.multiplier[n], c: op.shift }, op.offset?.[n] ?? 0n, lo, hi);
  });
}
