import type { Command } from 'commander';
import { exportModel } from '../api/export.js';
import type { ExportRequest, ExportSummary } from '../api/export.js';
import { UsageError } from '../errors.js';
import { EXPORT_TARGETS } from '../export/index.js';
import type { OpBytes } from '../export/target.js';
import { addExamples } from './examples.js';
import { addMemoryOption, choice, positiveInteger } from './options.js';
import { bytes, oneLine, pairs, print, printJson, warningsTold } from './render.js';
import { table } from './table.js';

interface Flags extends Omit<ExportRequest, 'output'> {
  readonly out?: string;
  readonly ramReport?: boolean;
  readonly json?: boolean;
}

export function addExportCommand(program: Command): void {
  const targets = Object.entries(EXPORT_TARGETS).map(([name, { describes }]) => `${name} (${describes})`);
  const command = program
    .command('export')
    .description('write an integer model in a form that runs elsewhere, with the same integers')
    .argument('<model.ivit>', 'the model')
    .addOption(choice('--to <target>', `what to write: ${targets.join('; ')}`, TARGETS).makeOptionMandatory())
    .option('-o, --out <path>', "the folder, or file, to write (default: by the model's name)")
    .option('--name <name>', "name of files and functions (default: the model's)")
    .option('--force', 'write into a folder that is not empty, over files of the same names')
    .addOption(choice('--weights <form>', 'C: constants as C, as a file, or in a section', WEIGHTS))
    .option('--tile <rows>', 'C: rows computed at a time; fewer take less memory and more time', positiveInteger)
    .option('--ram-report', 'C: list the working memory that each op needs')
    .option('--json', 'print the summary as JSON');
  addMemoryOption(command).action(run);
  addExamples(command, {
    'export model.ivit --to c -o model-c': 'C without floats',
    'export model.ivit --to onnx': 'ONNX of integer operators',
  });
}

const TARGETS = Object.keys(EXPORT_TARGETS);
const WEIGHTS = ['c', 'bin', 'section'];

async function run(model: string, { out, ramReport, json, ...request }: Flags): Promise<void> {
  if (ramReport && !EXPORT_TARGETS[request.to].plansMemory)
    throw new UsageError(`--ram-report: whoever runs ${request.to} plans its memory; leave it out`);
  const summary = await exportModel(model, { ...request, output: out });
  if (json) printJson({ ...summary, summary: Object.fromEntries(summary.summary), warnings: warningsTold() });
  else printSummary(model, summary, ramReport === true);
}

function printSummary(model: string, { output, files, summary, memory }: ExportSummary, wantsMemory: boolean): void {
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  print(
    `Exported ${oneLine(model)} to ${oneLine(output)}`,
    '',
    pairs([
      ['files', `${files.length}, ${bytes(total)}`],
      ...summary.map(([label, text]): [string, string] => [label, text]),
    ]),
  );
  if (wantsMemory && memory !== undefined) print('', memoryTable(memory));
}

function memoryTable(memory: readonly OpBytes[]): string {
  const right = 'right' as const;
  return table(
    [{ title: 'layer' }, { title: 'op' }, { title: 'bytes', align: right }],
    memory.map((row) => [row.name, row.op, String(row.bytes)]),
  );
}
