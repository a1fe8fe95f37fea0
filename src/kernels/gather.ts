import type { GatherOp } from '../program/types.js';
import type { IntegerArray } from '../program/value.js';

/** Piece i of the result is piece index[i] of the sources laid end to end, or `fill` where index[i] is −1. */
export function gatherPieces(
  sources: readonly IntegerArray[],
  { piece, index, fill }: Pick<GatherOp, 'piece' | 'index' | 'fill'>,
  out: IntegerArray,
): void {
  const starts: number[] = [];
  let total = 0;
  for (const source of sources) {
    starts.push(total);
    total += source.length;
  }
  index.forEach((from, i) => {
    const at = i * piece;
    if (from < 0) {
      out.fill(fill, at, at + piece);
      return;
    }
    const position = from * piece;
    let s = starts.length - 1;
    while (starts[s] > position) s--;
    const local = position - starts[s];
    out.set(sources[s].subarray(local, local + piece), at);
  });
}
