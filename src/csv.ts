/** Comma-separated values, as RFC 4180 has them. */
import { stringify } from 'csv-stringify/sync';

export type Cell = string | number | boolean | null | undefined;

/** A line, without its end; what is not there is empty. */
export function csvLine(cells: readonly Cell[]): string {
  const texts = cells.map((cell) => (typeof cell === 'boolean' ? Number(cell) : cell));
  return stringify([texts], { eof: false });
}
