/** Rows of measurements in the tables of a Markdown file. */

/** What was not run. */
const NONE = '–';

const cellsOf = (line: string): string[] =>
  line
    .replace(/^\||\|$/g, '')
    .split('|')
    .map((cell) => cell.trim());

const lineOf = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

/**
 * @param titles of the columns of `cells`, the first of which names the row
 * @returns the text, with these cells in that row; a new row ends the last table that has all the columns. Other cells
 *   of the row stay
 * @throws Error where no table has these columns
 */
export function putRow(text: string, titles: readonly string[], cells: readonly string[]): string {
  const lines = text.split('\n');
  const heads = lines.flatMap((line, at) => {
    const isHead = line.startsWith('|') && (lines[at + 1] ?? '').startsWith('| ---');
    return isHead && titles.every((title) => cellsOf(line).includes(title)) ? [at] : [];
  });
  const head = heads.at(-1);
  if (head === undefined) throw new Error(`no table has the columns ${titles.join(', ')}`);
  const end = lines.findIndex((line, at) => at > head && !line.startsWith('|'));
  const known = lines.findIndex((line, at) => at > head + 1 && at < end && cellsOf(line)[0] === cells[0]);
  const columns = cellsOf(lines[head]);
  const before = known < 0 ? columns.map(() => NONE) : cellsOf(lines[known]);
  const row = columns.map((title, i) => cells[titles.indexOf(title)] ?? before[i]);
  if (known < 0) lines.splice(end, 0, lineOf(row));
  else lines[known] = lineOf(row);
  return lines.join('\n');
}
