import type { Command } from 'commander';
import { diffModels } from '../api/diff.js';
import type { Difference, ModelDiff } from '../api/diff.js';
import { addExamples } from './examples.js';
import { addFormatOption, printRows } from './format.js';
import type { Cells, FormatFlags } from './format.js';
import { positiveInteger } from './options.js';
import { oneLine, print, printJson } from './render.js';

interface Flags extends FormatFlags {
  readonly limit: number;
}

export function addDiffCommand(program: Command): void {
  const command = program
    .command('diff')
    .description('show in what two integer models differ: settings, sizes, bits, scales, figures')
    .argument('<a.ivit>', 'a model')
    .argument('<b.ivit>', 'another')
    .option('--limit <n>', 'how many ops and layers to show', positiveInteger, 20);
  addFormatOption(command, 'each difference').action(run);
  addExamples(command, {
    'diff a.ivit b.ivit': 'settings, sizes, bits and scales that differ',
  });
}

async function run(a: string, b: string, { limit, format }: Flags): Promise<void> {
  const { same, ...parts } = await diffModels(a, b);
  if (format === 'json') return printJson({ a, b, same, ...parts });
  if (format !== 'table') return await printRows(format, CELLS, rowsOf(parts));
  if (same) {
    print('The same model: the hashes of their content are equal.');
    return;
  }
  const { facts, ops, sqnrDb } = parts;
  print(
    `- ${oneLine(a)}`,
    `+ ${oneLine(b)}`,
    ...section('Model', facts, facts.length),
    ...section('SQNR of layers, dB', sqnrDb, limit),
    ...section('Ops', ops, limit),
  );
}

interface Row extends Difference {
  /** What it is of. */
  readonly part: string;
}

const CELLS: Cells<Row> = {
  part: ({ part }) => part,
  name: ({ name }) => name,
  a: ({ a }) => a,
  b: ({ b }) => b,
};

const rowsOf = (parts: Omit<ModelDiff, 'same'>): Row[] =>
  Object.entries(parts).flatMap(([part, differences]: [string, readonly Difference[]]) =>
    differences.map((difference) => ({ part, ...difference })),
  );

/** Each difference as a name and two lines, which fit narrow terminals. */
function section(title: string, rows: readonly Difference[], limit: number): string[] {
  if (rows.length === 0) return [];
  const lines = rows
    .slice(0, limit)
    .flatMap(({ name, a, b }) => [
      `  ${oneLine(name)}`,
      ...(a === null ? [] : [`    - ${oneLine(a)}`]),
      ...(b === null ? [] : [`    + ${oneLine(b)}`]),
    ]);
  const more = rows.length > limit ? [`  … ${rows.length - limit} more: --limit ${rows.length} shows all`] : [];
  return ['', `${title}: ${rows.length} ${rows.length === 1 ? 'difference' : 'differences'}`, ...lines, ...more];
}
