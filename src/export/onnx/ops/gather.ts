import { elements } from '../../../program/value.js';
import type { GatherOp } from '../../../program/types.js';
import type { IntegerGraph, Tensor } from '../graph.js';
import { asMatrix, takePieces } from '../value.js';
import type { WriteOp } from './definition.js';

export const gather: WriteOp<GatherOp> = (g, op, sources) => {
  const { out, rows, cols, piece, index, fill } = op;
  const pieces = sources.reduce((sum, source) => sum + elements(source) / piece, 0);
  const take = (tensors: readonly Tensor[], width: number, filled: number): Tensor => {
    const all = endToEnd(g, tensors);
    return takePieces(g, all, index, { dims: [index.length], pieces, piece: width, fill: filled });
  };
  const taken = take(
    sources.map((source) => asMatrix(g, source, piece)),
    piece,
    fill,
  );
  const scales = sources.flatMap(({ rowScale }) => rowScale ?? []);
  return {
    ...{ out, rows, cols },
    data: piece === cols ? taken : g.reshape(taken, [rows, cols]),
    // Pieces of dynamic values are rows.
    rowScale: scales.length > 0 ? take(scales, 1, 1) : null,
  };
};

const endToEnd = (g: IntegerGraph, tensors: readonly Tensor[]): Tensor =>
  tensors.length === 1 ? tensors[0] : g.op('Concat', tensors, tensors[0].type, { axis: 0 });
