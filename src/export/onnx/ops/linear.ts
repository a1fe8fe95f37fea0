import { WIDE_LIMIT } from '../../../program/limits.js';
import { POWERS } from '../../../program/proof.js';
import type { LinearOp } from '../../../program/types.js';
import { zeroPoint } from '../../../program/value.js';
import { shiftSigned } from '../arithmetic.js';
import type { IntegerGraph, Tensor } from '../graph.js';
import { multiplyBytes, multiplyWords, signedConstant } from '../products.js';
import { asMatrix, requantizeTo, written, type GraphValue } from '../value.js';
import type { WriteOp } from './definition.js';

export const linear: WriteOp<LinearOp> = (g, op, [x, residual]) => {
  const acc = accumulators(g, op, x);
  const { out, rows, cols, multiplier, shift } = op;
  const own = requantizeTo(g, { out, rows, cols, multiplier, shift }, acc);
  if (op.residual === null) return written(g, op, own);
  const sum = g.binary('Add', own, asMatrix(g, residual, cols));
  return written(g, op, g.clip(sum, -WIDE_LIMIT, WIDE_LIMIT));
};

/** [rows, cols], int32 or int64: see `accumulateRow`. */
function accumulators(g: IntegerGraph, op: LinearOp, x: GraphValue): Tensor {
  const data = asMatrix(g, x, op.inFeatures);
  const weight = signedConstant(g, transposed(op), [op.inFeatures, op.cols]);
  const bias = g.constant(op.bias, [op.cols]);
  if (x.out.type === 'i16') return g.binary('Add', multiplyWords(g, data, weight), g.cast(bias, 'int64'));
  const sum = multiplyBytes(g, { data, zero: zeroPoint(x.out) }, weight);
  if (x.rowScale === null) return g.binary('Add', sum, bias);
  const scaled = g.binary('Mul', g.cast(sum, 'int64'), g.cast(x.rowScale, 'int64'));
  return g.binary('Add', roundedShift(g, scaled, op.rowShift), g.cast(bias, 'int64'));
}

const roundedShift = (g: IntegerGraph, v: Tensor, c: number): Tensor =>
  c === 0 ? v : shiftSigned(g, g.with('Add', v, POWERS[c - 1]), c);

/** [inFeatures, cols]. */
function transposed({ weight, inFeatures, cols }: LinearOp): Int8Array {
  const out = new Int8Array(weight.length);
  for (let n = 0, i = 0; n < cols; n++) for (let k = 0; k < inFeatures; k++) out[k * cols + n] = weight[i++];
  return out;
}
