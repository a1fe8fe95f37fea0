import { floorDivide } from './dyadic.js';

interface Shape {
  readonly rows: number;
  readonly cols: number;
}

/**
 * How the second operand of a product or quotient [rows, cols] is laid over the first: row r reads its row ⌊r/group⌋;
 * with `isColumn` all channels of a row read its one number. An operand of as many elements is read as it lies.
 */
export interface Broadcast {
  readonly group: number;
  readonly isColumn: boolean;
}

export function broadcastOf({ rows, cols }: Shape, b: Shape): Broadcast {
  if (b.rows * b.cols === rows * cols) return { group: 1, isColumn: false };
  return { group: floorDivide(rows, b.rows), isColumn: b.cols === 1 };
}

/** Where the number lies that element n of row r reads. */
export function broadcastAt({ group, isColumn }: Broadcast, cols: number, r: number, n: number): number {
  const row = group === 1 ? r : floorDivide(r, group);
  return isColumn ? row : row * cols + n;
}
