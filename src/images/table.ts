/** Tables in text: CSV with any usual separator, TSV, and JSON lines. */
import { parse } from 'csv-parse/sync';
import { InputError } from '../errors.js';
import { readTextFile } from './text-file.js';

export interface TableRow {
  readonly fields: readonly string[];
  /** Number of its line in the file, from 1. */
  readonly line: number;
}

const SEPARATORS = [',', ';', '\t', '|'] as const;

/**
 * Reads the rows of a table, a header among them, fields trimmed. Of JSON lines (`.jsonl`, `.ndjson`) the first row
 * is made of the keys.
 *
 * @throws InputError where it cannot be read, naming the line
 */
export async function readTable(file: string): Promise<TableRow[]> {
  const text = await readTextFile(file);
  return /\.(jsonl|ndjson)$/i.test(file) ? jsonRows(text, file) : separatedRows(text, file);
}

function separatedRows(text: string, file: string): TableRow[] {
  try {
    const records = parse(text, {
      delimiter: separatorOf(text),
      bom: true,
      trim: true,
      relax_column_count: true,
      relax_quotes: true,
      skip_empty_lines: true,
      info: true,
    }) as unknown as { record: string[]; info: { lines: number } }[];
    return records
      .map(({ record, info }) => ({ fields: record, line: info.lines }))
      .filter(({ fields }) => fields.some((field) => field !== ''));
  } catch (error) {
    throw new InputError(`${file} is no table: ${(error as Error).message}`, { cause: error });
  }
}

/** The separator that stands most often in the first line, outside of quotes. */
function separatorOf(text: string): string {
  const [first] = text
    .replace(/^\uFEFF/, '')
    .trimStart()
    .split(/\r\n|\r|\n/, 1);
  const bare = first.replace(/"[^"]*"/g, '');
  const count = (separator: string) => bare.split(separator).length;
  return SEPARATORS.reduce((best, one) => (count(one) > count(best) ? one : best));
}

function jsonRows(text: string, file: string): TableRow[] {
  let keys: string[] | undefined;
  const rows: TableRow[] = [];
  for (const [i, line] of text.split(/\r\n|\r|\n/).entries()) {
    if (line.trim() === '') continue;
    const object = parseObject(line, `${file}, line ${i + 1}`);
    if (keys === undefined) {
      keys = Object.keys(object);
      rows.push({ fields: keys, line: i + 1 });
    }
    rows.push({ fields: keys.map((key) => fieldOf(object[key])), line: i + 1 });
  }
  return rows;
}

function fieldOf(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value.trim() : JSON.stringify(value);
}

function parseObject(line: string, where: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new InputError(`${where}: not JSON: ${(error as Error).message}`, { cause: error });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InputError(`${where}: expected a JSON object on each line`);
}
