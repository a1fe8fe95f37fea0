import type { OnnxWriter } from '../onnx-writer.js';
import type { NodeBase } from './definition.js';

/**
 * An elementwise node of two operands. `a` has the node's elements. `b` is [bRows, bCols]: each of its rows serves for
 * rows/bRows successive rows, and where bCols is 1, for all columns.
 */
export interface BroadcastNode extends NodeBase {
  readonly a: string;
  readonly b: string;
  /** Divides `rows`. */
  readonly bRows: number;
  /** `cols`, or 1. */
  readonly bCols: number;
}

/** f(a, b) of every element. */
export function evaluateBroadcast(
  { rows, cols, a, b, bRows, bCols }: BroadcastNode,
  read: (id: string) => Float32Array,
  f: (a: number, b: number) => number,
): Float32Array {
  const second = read(b);
  const group = rows / bRows;
  return read(a).map((value, i) => {
    const row = Math.floor(Math.floor(i / cols) / group);
    return f(value, second[row * bCols + (bCols === 1 ? 0 : i % cols)]);
  });
}

/** Writes the node as an operator that broadcasts. */
export function writeBroadcast(op: string, node: BroadcastNode, writer: OnnxWriter): void {
  const { id, rows, cols, a, b, bRows, bCols } = node;
  if (bRows === rows && bCols === cols) {
    writer.op(op, [writer.as(a, rows, cols), writer.as(b, rows, cols)], id);
    return;
  }
  const operands = [writer.reshape(a, [bRows, rows / bRows, cols]), writer.reshape(b, [bRows, 1, bCols])];
  writer.reshape(writer.op(op, operands, `${id}//grouped`), [rows, cols], id);
}

/** What a report tells of the operands. */
export const describeBroadcast = ({ rows, cols, bRows, bCols }: BroadcastNode): { detail?: string } =>
  bRows === rows && bCols === cols ? {} : { detail: `by ${bRows}×${bCols}` };

/** Rows of an operand behind `wanted` rows of such a node; see `NodeDefinition.rowsRead`. */
export function rowsReadBroadcast(
  { rows, cols, a, b, bRows, bCols }: BroadcastNode,
  operand: NodeBase,
  wanted: Int32Array | null,
): ArrayLike<number> | null {
  if (wanted === null) return null;
  if (a === operand.id && (operand.cols !== cols || (b === operand.id && bRows !== rows))) return null;
  if (a === operand.id) return wanted;
  return operand.cols === bCols ? [...new Set(Array.from(wanted, (row) => Math.floor((row * bRows) / rows)))] : null;
}
