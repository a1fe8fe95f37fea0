/** Tables on a terminal; apart from the rest of rendering, as drawing them takes long to load. */
import Table from 'cli-table3';
import { oneLine } from './render.js';
import { styled, widthOf } from './terminal.js';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** Spaces before a table, and between its columns. */
const GAP = 2;
/** Columns of text are not made narrower than this. */
const NARROWEST = 12;

/** Fits the width of the terminal: where it must, headings and then the widest texts go on below. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(oneLine));
  const widths = widthsOf(columns, cells, widthOf(process.stdout) - GAP * (columns.length + 1));
  const fit = (text: string, c: number): string => breakText(text, widths[c]!).join('\n');
  const heading = (text: string): string => text.replace(/[^\n]+/g, (line) => styled('bold', line));
  const drawn = new Table({
    head: columns.map(({ title }, c) => heading(fit(title, c))),
    colAligns: columns.map(({ align }) => align ?? 'left'),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
    chars: {
      top: '',
      'top-mid': '',
      'top-left': '',
      'top-right': '',
      bottom: '',
      'bottom-mid': '',
      'bottom-left': '',
      'bottom-right': '',
      left: '',
      'left-mid': '',
      mid: '',
      'mid-mid': '',
      right: '',
      'right-mid': '',
      middle: '',
    },
  });
  for (const row of cells) drawn.push(row.map(fit));
  return drawn
    .toString()
    .split('\n')
    .map((line) => `  ${line.trimEnd()}`)
    .join('\n');
}

/** @param room columns for all of them together */
function widthsOf(columns: readonly Column[], rows: readonly (readonly string[])[], room: number): number[] {
  const longest = (texts: readonly string[]) => Math.max(0, ...texts.map((text) => text.length));
  const cells = columns.map((_, c) => longest(rows.map((row) => row[c]!)));
  const natural = columns.map(({ title }, c) => Math.max(title.length, cells[c]!));
  const sum = (widths: readonly number[]) => widths.reduce((total, width) => total + width, 0);
  if (sum(natural) <= room) return natural;
  const widths = columns.map(({ title }, c) => Math.max(longest(title.split(' ')), cells[c]!));
  while (sum(widths) > room) {
    const texts = widths.map((width, c) => (columns[c]!.align === 'right' ? 0 : width));
    const widest = texts.indexOf(Math.max(...texts));
    if (texts[widest]! <= NARROWEST) break;
    widths[widest]!--;
  }
  return widths;
}

/** Breaks after spaces and what joins the parts of names, else anywhere. */
function breakText(text: string, width: number): string[] {
  if (text.length <= width) return [text];
  const parts = (text.match(/[^\s./_-]*[\s./_-]|[^\s./_-]+/g) ?? []).flatMap(
    (part) => part.match(new RegExp(`.{1,${width}}`, 'gu')) ?? [],
  );
  const lines = [''];
  for (const part of parts) {
    const joined = lines.at(-1)! + part;
    if (joined.trimEnd().length <= width) lines[lines.length - 1] = joined;
    else lines.push(part);
  }
  return lines.map((line) => line.trimEnd());
}
