/** In which form results are printed. */
import { Option } from 'commander';
import type { Command } from 'commander';
import type { Cell } from '../csv.js';
import { UsageError } from '../errors.js';
import { choice } from './options.js';
import { printLines } from './render.js';

export const FORMATS = ['table', 'csv', 'jsonl', 'json'] as const;
export type Format = (typeof FORMATS)[number];

export interface FormatFlags {
  readonly format: Format;
}

/** `--json`, which beside another `--format` is refused: one of them would be ignored. */
export function addJsonOption(command: Command): Command {
  return command
    .addOption(new Option('--json', 'the same as --format json').implies({ format: 'json' }))
    .hook('preAction', () => {
      const { json, format } = command.opts<{ json?: boolean; format: string }>();
      if (json === true && format !== 'json')
        throw new UsageError(`--json and --format ${format} do not go together: give one of them`);
    });
}

/** @param rows what a line of CSV, or of JSON Lines, stands for */
export function addFormatOption(command: Command, rows: string): Command {
  return addJsonOption(
    command.addOption(
      choice('--format <form>', `how to print results; csv and jsonl give a line for ${rows}`, FORMATS).default(
        'table',
      ),
    ),
  );
}

/** What stands in each column of a row. */
export type Cells<T> = Readonly<Record<string, (row: T) => Cell>>;

/** Prints rows as they come: as CSV under a line of names, or each as a JSON object. */
export class RowPrinter<T> {
  /** @param csvLine undefined: JSON Lines are printed */
  private constructor(
    private readonly cells: Cells<T>,
    private readonly csvLine: ((cells: readonly Cell[]) => string) | undefined,
  ) {
    if (csvLine !== undefined) printLines([csvLine(Object.keys(cells))]);
  }

  static async open<T>(format: 'csv' | 'jsonl', cells: Cells<T>): Promise<RowPrinter<T>> {
    // It takes long to load.
    return new RowPrinter(cells, format === 'csv' ? (await import('../csv.js')).csvLine : undefined);
  }

  /** @param object what JSON shows, where it is more than the rows are */
  print(rows: readonly T[], object?: object): void {
    const { csvLine, cells } = this;
    if (csvLine !== undefined)
      for (const row of rows) printLines([csvLine(Object.values(cells).map((cell) => cell(row)))]);
    else for (const one of object === undefined ? rows : [object]) printLines([JSON.stringify(one)]);
  }
}

export async function printRows<T>(format: 'csv' | 'jsonl', cells: Cells<T>, rows: readonly T[]): Promise<void> {
  (await RowPrinter.open(format, cells)).print(rows);
}
