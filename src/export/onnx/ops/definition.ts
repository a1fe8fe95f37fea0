import type { Op, Program } from '../../../program/types.js';
import type { IntegerGraph } from '../graph.js';
import type { GraphValue } from '../value.js';

/** Writes an op in ONNX's operators: the same integers as `src/kernels`, for its operands in their order. */
export type WriteOp<T extends Op> = (
  g: IntegerGraph,
  op: T,
  operands: readonly GraphValue[],
  input: Program['input'],
) => GraphValue;
