import { gatherPieces } from '../../kernels/gather.js';
import type { GatherOp } from '../../program/types.js';
import { closeGaps, rowsOf, scaleRuns, sortedAt } from '../plan/runs.js';
import type { Run } from '../plan/types.js';
import { allocate, type ValueSpec } from '../values.js';
import { REST, type EngineOp } from './definition.js';

export const gather: EngineOp<GatherOp> = {
  /** A gather of whole dynamic rows takes their scales along; a filled row has scale 1. */
  run(op, sources) {
    const value = allocate(op);
    gatherPieces(
      sources.map((source) => source.data),
      op,
      value.data,
    );
    if (value.rowScale !== null) {
      const scales = sources.map((source) => source.rowScale as Int32Array);
      gatherPieces(scales, { piece: 1, index: op.index, fill: 1 }, value.rowScale);
    }
    return value;
  },
  words: { piece: 1, fill: 1, sourceCount: 1, sources: REST },
  constants: ['index'],
  encode({ piece, fill, index: pieces }, { plan, index }) {
    const { operands } = plan.steps[index];
    return { words: { piece, fill, sourceCount: operands.length, sources: operands }, constants: { index: pieces } };
  },
  request({ op, operands }, runs, values, request) {
    const order = sortedAt(op.index, scaleRuns(runs, op.cols, op.piece));
    let next = order.findIndex((piece) => piece >= 0);
    if (next < 0) return;
    let start = 0;
    for (const id of operands) {
      const { rows, cols } = values[id];
      const end = start + rows * cols;
      const wanted: Run[] = [];
      for (; next < order.length && order[next] * op.piece < end; next++) {
        const at = order[next] * op.piece - start;
        wanted.push(rowsOf(at, at + op.piece, cols));
      }
      if (wanted.length > 0) request(id, closeGaps(wanted, 1));
      start = end;
    }
  },
  isRowLocal: (op, operands) => rowSources(op, operands) !== null,
};

/** Of a gather that leaves every row in its place: the operand that each row comes from; null for all others. */
export function rowSources(op: GatherOp, operands: readonly ValueSpec[]): readonly number[] | null {
  if (op.piece !== op.cols || operands.some(({ cols }) => cols !== op.cols)) return null;
  const starts: number[] = [];
  let total = 0;
  for (const { rows } of operands) {
    starts.push(total);
    total += rows;
  }
  const sources: number[] = [];
  for (let r = 0; r < op.rows; r++) {
    const from = op.index[r];
    if (from < 0) return null;
    const source = ownerOf(starts, from);
    if (from - starts[source] !== r) return null;
    sources.push(source);
  }
  return sources;
}

/** Which of the sources that begin at `starts` a place lies in. */
function ownerOf(starts: readonly number[], place: number): number {
  let [low, high] = [0, starts.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= place) low = middle;
    else high = middle;
  }
  return low;
}
