import path from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { withPlainFile } from '../api/float-file.js';
import { compare, describeMachine } from '../bench/compare.js';
import type { Compared, Machine, NamedProgram } from '../bench/compare.js';
import { profileNative, profileWasm } from '../bench/profile.js';
import type { Profile } from '../bench/profile.js';
import { loadModel } from '../program/file.js';
import { addMemoryOption, findModel, positiveInteger, threadCount } from './options.js';
import type { MemoryFlags } from './options.js';
import { compileKernels } from './kernels.js';
import { Progress } from './progress.js';
import { large, milliseconds, notice, percent, print, printJson, significant } from './render.js';
import type { Column } from './table.js';

interface Flags extends MemoryFlags {
  readonly model?: readonly string[];
  readonly float?: string;
  readonly threads: readonly number[];
  readonly runs: number;
  readonly output: 'md' | 'json' | 'csv';
  readonly profile?: boolean;
}

export function addBenchCommand(program: Command): void {
  const command = program
    .command('bench')
    .description('measure latency and throughput, beside ONNX Runtime')
    .option('-m, --model <files...>', '.ivit models (default: $IVIT_MODEL, else the only .ivit in this folder)')
    .option('--float <model.onnx>', 'measure ONNX Runtime on the float model too, in float and in its int8 forms')
    .option('--threads <list>', 'thread counts, like 1,2', positiveIntegers, [1])
    .option('-r, --runs <n>', 'rounds; in each, everything measured gets a turn', positiveInteger, 20)
    .addOption(
      new Option('-o, --output <format>', 'how to print the results').choices(['md', 'json', 'csv']).default('md'),
    )
    .option('--profile', "show where the time goes, and the native backend's share of the machine's peak");
  addMemoryOption(command).action(run);
}

function positiveIntegers(text: string): number[] {
  const counts = text.split(',').map(threadCount);
  if (new Set(counts).size < counts.length) throw new InvalidArgumentError('A number appears twice.');
  return counts;
}

async function run(flags: Flags): Promise<void> {
  const files = flags.model ?? [findModel({})];
  const models: NamedProgram[] = [];
  for (const file of files) {
    const { maxMemory } = flags;
    models.push({
      name: path.basename(file, '.ivit'),
      program: (await loadModel(file, { maxMemory })).program,
      maxMemory,
    });
  }
  await compileKernels(undefined);
  const progress = new Progress();
  try {
    const measure = (float?: string) =>
      compare({
        models,
        float,
        threads: flags.threads,
        rounds: flags.runs,
        onNotice: notice,
        onRound: (done) => progress.update('Measure', done, flags.runs),
      });
    const { height, width } = models[0].program.input;
    const results = await (flags.float === undefined
      ? measure()
      : withPlainFile(flags.float, [height, width], notice, measure));
    progress.stop();
    const profiles = flags.profile ? await profileAll(models, flags.threads, 3 * flags.runs) : [];
    render(flags.output, describeMachine(), results, profiles);
  } finally {
    progress.stop();
  }
}

type NamedProfile = Profile & { readonly name: string };

async function profileAll(
  models: readonly NamedProgram[],
  threads: readonly number[],
  runs: number,
): Promise<NamedProfile[]> {
  const profiles: NamedProfile[] = [];
  for (const { name, program, maxMemory } of models) {
    for (const count of threads) profiles.push({ name, ...(await profileNative(program, count, runs, { maxMemory })) });
    profiles.push({ name, ...(await profileWasm(program, runs, { maxMemory })) });
  }
  return profiles;
}

function render(
  format: Flags['output'],
  machine: Machine,
  results: readonly Compared[],
  profiles: readonly NamedProfile[],
): void {
  if (format === 'json') return printJson({ machine, results, profiles });
  if (format === 'csv') return print(...csv(results));
  const { cpu, cores, memoryGB, platform, node } = machine;
  print(
    `${cpu}, ${cores} ${cores === 1 ? 'core' : 'cores'}, ${memoryGB} GB, ${platform}, Node ${node}`,
    '',
    markdown(RESULT_COLUMNS, results.map(resultRow)),
  );
  for (const profile of profiles) print('', ...profileLines(profile));
}

const right = (title: string): Column => ({ title, align: 'right' });
const RESULT_COLUMNS: readonly Column[] = [
  { title: 'runtime' },
  { title: 'model' },
  right('threads'),
  right('median'),
  right('10 to 90 %'),
  right('images/s'),
  right('× float'),
  right('× int8'),
  right('SQNR'),
];

function resultRow(result: Compared): string[] {
  const ratio = (value: number | null): string => (value === null ? '' : value.toFixed(2));
  return [
    result.runtime,
    result.precision,
    String(result.threads),
    milliseconds(result.median),
    result.spread.map((value) => value.toFixed(value < 10 ? 2 : 1)).join(' to '),
    result.throughput.toFixed(1),
    ratio(result.againstFloat),
    ratio(result.againstInt8),
    result.sqnrDb === null ? '' : `${result.sqnrDb.toFixed(1)} dB`,
  ];
}

function profileLines({ name, isa, threads, kinds, peak, linearShare, wholeShare, wallShare }: NamedProfile): string[] {
  const share = (value: number | null): string => (value === null ? '' : percent(value));
  const rows = kinds.map((kind) => [
    kind.kind,
    milliseconds(kind.milliseconds),
    percent(kind.share),
    kind.multiplications === 0 ? '' : large(kind.multiplications),
    kind.multiplications === 0 ? '' : significant(kind.multiplications / kind.milliseconds / 1e6),
    share(kind.shareOfPeak),
  ]);
  const columns = [
    { title: 'layers' },
    right('time'),
    right('of all'),
    right('MAC'),
    right('GMAC/s'),
    right('of peak'),
  ];
  return [
    `${name}: ${isa}, ${threads} ${threads === 1 ? 'thread' : 'threads'}` +
      (peak === null ? '' : `, peak ${significant(peak / 1e9)} GMAC/s a core`),
    '',
    markdown(columns, rows),
    ...(wholeShare === null
      ? []
      : [
          '',
          `whole network ${share(wholeShare)} of the peak (${share(wallShare)} by the clock of a whole run), ` +
            `linear layers ${share(linearShare)}`,
        ]),
  ];
}

/** A Markdown table that lines up in a terminal as well. */
function markdown(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map(({ title }, c) => Math.max(title.length, 3, ...rows.map((row) => row[c].length)));
  const pad = (text: string, c: number): string =>
    columns[c].align === 'right' ? text.padStart(widths[c]) : text.padEnd(widths[c]);
  const line = (cells: readonly string[]): string => `| ${cells.map(pad).join(' | ')} |`;
  const rule = columns.map(({ align }, c) =>
    align === 'right' ? `${'-'.repeat(widths[c] - 1)}:` : '-'.repeat(widths[c]),
  );
  return [line(columns.map(({ title }) => title)), line(rule), ...rows.map(line)].join('\n');
}

function csv(results: readonly Compared[]): string[] {
  const quoted = (text: string): string => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const number = (value: number | null): string => (value === null ? '' : value.toFixed(4));
  return [
    'runtime,model,threads,median_ms,least_ms,p10_ms,p90_ms,images_per_second,against_float,against_int8,sqnr_db',
    ...results.map((r) =>
      [
        quoted(r.runtime),
        quoted(r.precision),
        r.threads,
        ...[r.median, r.least, ...r.spread, r.throughput, r.againstFloat, r.againstInt8, r.sqnrDb].map(number),
      ].join(','),
    ),
  ];
}
