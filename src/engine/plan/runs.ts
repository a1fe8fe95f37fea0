/** Runs of rows: sorted, without overlaps. */
import { floorDivide } from '../../kernels/dyadic.js';
import type { Run } from './types.js';

export function unionRuns(needs: readonly { readonly runs: readonly Run[] }[]): readonly Run[] {
  if (needs.length === 1) return needs[0].runs;
  return closeGaps(
    needs.flatMap(({ runs }) => runs),
    1,
  );
}

/** Joins runs, in any order, that overlap or have less than `gap` rows between them. */
export function closeGaps(runs: readonly Run[], gap: number): readonly Run[] {
  if (runs.length === 1) return runs;
  const joined: [number, number][] = [];
  for (const [first, end] of [...runs].sort((a, b) => a[0] - b[0])) {
    const last = joined.at(-1);
    if (last !== undefined && first - last[1] < gap) last[1] = Math.max(last[1], end);
    else joined.push([first, end]);
  }
  return joined;
}

/** What lies within rows [0, end). */
export function cutRuns(runs: readonly Run[], end: number): readonly Run[] {
  return runs.filter(([first]) => first < end).map(([first, last]) => [first, Math.min(last, end)]);
}

/**
 * Runs without gaps of less than a register tile, which costs no more whole, and from the first row on if less is
 * missing.
 */
export function fillTiles(runs: readonly Run[], rows: number): readonly Run[] {
  const [[first, end], ...others] = runs;
  return closeGaps([[first < rows ? 0 : first, end], ...others], rows);
}

/** Runs of rows of `length` elements as runs of rows of `cols` elements that hold them. */
export function scaleRuns(runs: readonly Run[], length: number, cols: number): readonly Run[] {
  if (length === cols) return runs;
  return closeGaps(
    runs.map(([first, end]) => rowsOf(first * length, end * length, cols)),
    1,
  );
}

/** The rows of `cols` elements that elements first to end lie in. */
export function rowsOf(first: number, end: number, cols: number): Run {
  return [floorDivide(first, cols), floorDivide(end - 1, cols) + 1];
}

/** The rows at some places of an index. */
export function pickRows(index: Int32Array, places: readonly Run[]): readonly Run[] {
  const picked = sortedAt(index, places);
  return closeGaps(
    Array.from(picked, (row): Run => [row, row + 1]),
    1,
  );
}

/** The entries of an index at some places, sorted. */
export function sortedAt(index: Int32Array, places: readonly Run[]): Int32Array {
  const picked = new Int32Array(countRows(places));
  let at = 0;
  for (const [first, end] of places) {
    picked.set(index.subarray(first, end), at);
    at += end - first;
  }
  return picked.sort();
}

export function countRows(runs: readonly Run[]): number {
  return runs.reduce((rows, [first, end]) => rows + end - first, 0);
}
