import type { ValueId } from '../../program/value.js';
import type { Built, ProgramBuilder } from './program-builder.js';

/** How an elementwise op reads its second operand; see `BroadcastNode` in src/graph/nodes/broadcast.ts. */
interface Broadcast {
  readonly rows: number;
  readonly cols: number;
  readonly bRows: number;
  readonly bCols: number;
}

/** The second operand in the rows in which it is read: a copy where it is broadcast and its own rows are others. */
export function broadcastOperand(
  name: string,
  { rows, cols, bRows, bCols }: Broadcast,
  { value, out, ...own }: Built,
  builder: ProgramBuilder,
): ValueId {
  const isWhole = bRows === rows && bCols === cols;
  if (isWhole || (own.rows === bRows && own.cols === bCols)) return value;
  const index = Int32Array.from({ length: bRows }, (_, i) => i);
  const common = { name: `${name}.rows`, rows: bRows, cols: bCols, out };
  return builder.emit({ op: 'gather', ...common, sources: [value], piece: bCols, index, fill: 0 }).value;
}
