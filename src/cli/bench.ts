import path from 'node:path';
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { withPlainFile } from '../api/float-file.js';
import { watchOthers } from '../bench/busy.js';
import { compare, describeMachine } from '../bench/compare.js';
import type { Compared, Machine, NamedProgram } from '../bench/compare.js';
import { profileNative, profileWasm } from '../bench/profile.js';
import type { Profile } from '../bench/profile.js';
import { loadModel } from '../program/file.js';
import { isIntegerOnly, NOT_INTEGER_ONLY } from '../program/integer-only.js';
import { warnIfBusy } from './busy.js';
import { addExamples } from './examples.js';
import { addFormatOption, printRows } from './format.js';
import type { Cells, Format, FormatFlags } from './format.js';
import { addMemoryOption, collectNames, findModel, positiveInteger, threadCount } from './options.js';
import type { MemoryFlags } from './options.js';
import { compileKernels } from './kernels.js';
import { Progress } from './progress.js';
import { large, milliseconds, oneLine, percent, print, printJson, significant, warn, warningsTold } from './render.js';
import { beginReading } from './stages.js';
import { table } from './table.js';
import type { Column } from './table.js';

interface Flags extends MemoryFlags, FormatFlags {
  readonly model?: readonly string[];
  readonly float?: string;
  readonly peer?: readonly string[];
  readonly threads: readonly number[];
  readonly runs: number;
  readonly profile?: boolean;
}

export function addBenchCommand(program: Command): void {
  const command = program
    .command('bench')
    .description('measure latency and throughput, beside ONNX Runtime')
    .option('-m, --model <files...>', '.ivit models (default: $IVIT_MODEL, else the only .ivit in this folder)')
    .option('--float <model.onnx>', 'measure ONNX Runtime on the float model too, in float and in its int8 forms')
    .option(
      '--peer <command>',
      'another program to measure in turns with these, started once: it runs an image for each line that it reads, ' +
        'and then writes a line; may be repeated',
      collectNames,
    )
    .option('--threads <list>', 'thread counts, like 1,2', positiveIntegers, [1])
    .option('-r, --runs <n>', 'rounds; in each, everything measured gets a turn', positiveInteger, 20)
    .option('--profile', "show where the time goes, and the native backend's share of the machine's peak");
  addMemoryOption(addFormatOption(command, 'each runtime')).action(run);
  addExamples(command, {
    'bench -m model.ivit --threads 1,2': 'latency and throughput',
    'bench -m model.ivit --float model.onnx --profile': 'beside ONNX Runtime, with where the time goes',
  });
}

function positiveIntegers(text: string): number[] {
  const counts = text.split(',').map(threadCount);
  if (new Set(counts).size < counts.length) throw new InvalidArgumentError('A number appears twice: give each once.');
  return counts;
}

async function loadAll(files: readonly string[], { maxMemory }: Flags): Promise<NamedProgram[]> {
  const models: NamedProgram[] = [];
  for (const file of files) {
    const name = path.basename(file).replace(/\.(ivit|safetensors)$/i, '');
    models.push({ name, program: (await loadModel(file, { maxMemory })).program, maxMemory });
  }
  return models;
}

async function run(flags: Flags): Promise<void> {
  const files = flags.model ?? [findModel({})];
  const progress = new Progress();
  beginReading(progress, [...files, ...(flags.float === undefined ? [] : [flags.float])]);
  const models = await loadAll(files, flags).finally(() => progress.stop());
  for (const { name, program } of models) if (!isIntegerOnly(program)) warn(`${name}: ${NOT_INTEGER_ONLY}`);
  await compileKernels(undefined);
  try {
    const measure = (float?: string) =>
      compare({
        models,
        float,
        peers: flags.peer ?? [],
        threads: flags.threads,
        rounds: flags.runs,
        onNotice: progress.notice,
        onRound: (done) => progress.update('Measure', done, flags.runs),
      });
    const shareOfOthers = watchOthers();
    const { height, width } = models[0].program.input;
    const results = await (flags.float === undefined
      ? measure()
      : withPlainFile(flags.float, { size: [height, width] }, progress.notice, measure));
    progress.stop();
    const othersShare = shareOfOthers();
    warnIfBusy(othersShare);
    const profiles = flags.profile ? await profileAll(models, flags.threads, 3 * flags.runs) : [];
    await render(flags.format, { ...describeMachine(), othersShare }, results, profiles);
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

async function render(
  format: Format,
  machine: Machine & { readonly othersShare: number | null },
  results: readonly Compared[],
  profiles: readonly NamedProfile[],
): Promise<void> {
  if (format === 'json') return printJson({ machine, results, profiles, warnings: warningsTold() });
  if (format !== 'table') return await printRows(format, CELLS, results);
  const { cpu, cores, memoryGB, platform, node } = machine;
  print(
    `${cpu}, ${cores} ${cores === 1 ? 'core' : 'cores'}, ${memoryGB} GB, ${platform}, Node ${node}`,
    '',
    table(RESULT_COLUMNS, results.map(resultRow)),
    '',
    '10 to 90 %: in ms; a tenth of the rounds was faster, a tenth slower. Far apart, they tell of a busy machine.' +
      (results.some(({ againstFloat }) => againstFloat !== null)
        ? ' × float, × int8: so many times as fast as ONNX Runtime.'
        : ''),
  );
  for (const profile of profiles) print('', ...profileLines(profile));
}

const CELLS: Cells<Compared> = {
  runtime: ({ runtime }) => runtime,
  model: ({ precision }) => precision,
  threads: ({ threads }) => threads,
  median_ms: ({ median }) => fixed(median),
  least_ms: ({ least }) => fixed(least),
  p10_ms: ({ spread }) => fixed(spread[0]),
  p90_ms: ({ spread }) => fixed(spread[1]),
  images_per_second: ({ throughput }) => fixed(throughput),
  against_float: ({ againstFloat }) => fixed(againstFloat),
  against_int8: ({ againstInt8 }) => fixed(againstInt8),
  sqnr_db: ({ sqnrDb }) => fixed(sqnrDb),
};

const fixed = (value: number | null): string => (value === null ? '' : value.toFixed(4));
const right = (title: string): Column => ({ title, align: 'right' });
/** What fits 80 columns. */
const RESULT_COLUMNS: readonly Column[] = [
  { title: 'runtime' },
  { title: 'model' },
  right('median ms'),
  right('10 to 90 %'),
  right('images /s'),
  right('× float'),
  right('× int8'),
  right('SQNR dB'),
];

function resultRow(result: Compared): string[] {
  const digits = (value: number): string => value.toFixed(value < 10 ? 2 : 1);
  const ratio = (value: number | null): string => (value === null ? '' : value.toFixed(2));
  return [
    result.threads === null
      ? oneLine(result.runtime)
      : `${result.runtime}, ${result.threads} thread${result.threads === 1 ? '' : 's'}`,
    result.precision,
    digits(result.median),
    result.spread.map(digits).join('–'),
    result.throughput.toFixed(1),
    ratio(result.againstFloat),
    ratio(result.againstInt8),
    result.sqnrDb === null ? '' : result.sqnrDb.toFixed(1),
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
    table(columns, rows),
    ...(wholeShare === null
      ? []
      : [
          '',
          `whole network ${share(wholeShare)} of the peak (${share(wallShare)} by the clock of a whole run), ` +
            `linear layers ${share(linearShare)}`,
        ]),
  ];
}
