/** Rows of measurements in the tables of a Markdown file. */

/** What was not run. */
const NONE = '–';

const cellsOf = (line: string): string[] =>
  line
    .replace(/^\||\|$/g, '')
    .split('|')
    .map((cell) => cell.trim());

const lineOf = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

/** The line of a table's row of this name; -1: it has none, or lies elsewhere. */
function rowAt(lines: readonly string[], head: number, name: string): number {
  const end = endOf(lines, head);
  return lines.findIndex((line, at) => at > head + 1 && at < end && cellsOf(line)[0] === name);
}

const endOf = (lines: readonly string[], head: number): number =>
  lines.findIndex((line, at) => at > head && !line.startsWith('|'));

/**
 * @param titles of the columns of `cells`, the first of which names the row
 * @returns the text, with these cells in that row of a table that has all the columns; a new row ends the last such
 *   table. Other cells of the row stay
 * @throws Error where no table has these columns
 */
export function putRow(text: string, titles: readonly string[], cells: readonly string[]): string {
  const lines = text.split('\n');
  const heads = lines.flatMap((line, at) => {
    const isHead = line.startsWith('|') && (lines[at + 1] ?? '').startsWith('| ---');
    return isHead && titles.every((title) => cellsOf(line).includes(title)) ? [at] : [];
  });
  const head = heads.find((at) => rowAt(lines, at, cells[0]) >= 0) ?? heads.at(-1);
  if (head === undefined) throw new Error(`no table has the columns ${titles.join(', ')}`);
  const known = rowAt(lines, head, cells[0]);
  const columns = cellsOf(lines[head]);
  const before = known < 0 ? columns.map(() => NONE) : cellsOf(lines[known]);
  const row = lineOf(columns.map((title, i) => cells[titles.indexOf(title)] ?? before[i]));
  if (known < 0) lines.splice(endOf(lines, head), 0, row);
  else lines[known] = row;
  return lines.join('\n');
}
