import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { compare } from '../api/compare.js';
import { watchOthers } from '../bench/busy.js';
import { parseRecipeFlags } from '../images/preprocess/flags.js';
import type { Share } from '../metrics/comparison.js';
import { EFFORTS, KERNEL_SETS, SCALE_MODES } from '../quantize/index.js';
import type { Effort, KernelSet, ScaleMode } from '../quantize/index.js';
import { COMPARISON_FORMATS, kindFigures, renderComparison } from '../report/comparison/index.js';
import type { ComparisonData, ComparisonFormat } from '../report/comparison/index.js';
import { suggestion } from '../names.js';
import { warnIfBusy } from './busy.js';
import { addExamples } from './examples.js';
import { addJsonOption } from './format.js';
import { compileKernels, noticeSlowRuntime } from './kernels.js';
import {
  addExifOption,
  addRecipeOptions,
  addThreadsOption,
  atLeastTwo,
  collectNames,
  positiveInteger,
  choice,
} from './options.js';
import type { ExifFlag, RecipeOptionValues } from './options.js';
import { Progress } from './progress.js';
import { bytes, oneLine, print, printJson, printLines, seconds, significant, warningsTold } from './render.js';
import { beginReading, compareSteps, stageName } from './stages.js';
import { table } from './table.js';
import type { Column } from './table.js';

interface Flags extends RecipeOptionValues {
  readonly images: string;
  readonly dataset: string;
  readonly classMap?: string;
  readonly kernels?: readonly KernelSet[];
  readonly scales?: readonly ScaleMode[];
  readonly effort?: readonly Effort[];
  readonly numImages?: number;
  readonly limit?: number;
  readonly exif: ExifFlag;
  readonly output?: readonly string[];
  readonly labels?: string;
  readonly keep?: string;
  readonly resume?: boolean;
  readonly runs?: number;
  readonly out?: string;
  readonly format: 'table' | ComparisonFormat;
  readonly threads?: number;
}

export function addCompareCommand(program: Command): void {
  const command = program
    .command('compare')
    .description(
      "quantize with each kernel set, and measure all of them beside the float model and ONNX Runtime's int8",
    )
    .argument('<model.onnx>', 'the float model; external data is found beside it')
    .requiredOption('--images <dir>', 'calibration images: a folder, or a text list')
    .requiredOption('--dataset <dir>', 'images to measure on, with classes or without, as of ivit eval')
    .option('--kernels <list>', `kernel sets, of ${KERNEL_SETS.join(', ')} (default: all)`, listOf(KERNEL_SETS))
    .option('--scales <list>', 'activation scales: static, dynamic or both (default: static)', listOf(SCALE_MODES))
    .option('--effort <list>', `time spent on the fit, of ${EFFORTS.join(', ')} (default: normal)`, listOf(EFFORTS))
    .option('--num-images <n>', 'how many calibration images to use', atLeastTwo)
    .option('--limit <n>', 'measure on only so many images, spread evenly', positiveInteger)
    .option('--class-map <file>', "the dataset's class names, in the order of the model's classes")
    .option('--output <name>', 'an output of the model to take; may be repeated (default: all)', collectNames)
    .option('--labels <file>', 'class names: one a line, or JSON (default: id2label of config.json beside the model)')
    .option('--keep <dir>', 'keep the quantized models in this folder')
    .option('--resume', 'go on where a killed run with this --out ended: its quantized models are taken')
    .option('-r, --runs <n>', 'rounds of timing; in each, every form gets a turn (default: 20)', positiveInteger)
    .option('-o, --out <file>', 'write the comparison: a page (.html), Markdown (.md), .csv or .json')
    .addOption(choice('--format <form>', 'how to print it', ['table', ...COMPARISON_FORMATS]).default('table'));
  addJsonOption(command);
  addExifOption(command, "they are not turned, as Python's datasets do not");
  addThreadsOption(addRecipeOptions(command)).action(run);
  addExamples(command, {
    'compare model.onnx --images photos/ --dataset val/ -o comparison.html':
      'all kernel sets beside float and int8, as a page',
  });
}

const listOf =
  <T extends string>(choices: readonly T[]) =>
  (text: string): T[] => {
    const names = text.split(',');
    const unknown = names.find((name) => !choices.includes(name as T));
    if (unknown !== undefined)
      throw new InvalidArgumentError(
        `It must be a list of ${choices.join(', ')}${suggestion(unknown, choices) || '.'}`,
      );
    return names as T[];
  };

async function run(model: string, flags: Flags): Promise<void> {
  const { images, dataset, classMap, kernels, scales, effort, numImages, limit, exif, labels, keep, threads } = flags;
  const { out, format, resume } = flags;
  await compileKernels(undefined);
  noticeSlowRuntime();
  const progress = new Progress();
  let form = '';
  let shareOfOthers: ReturnType<typeof watchOthers> | undefined;
  let data: ComparisonData;
  beginReading(progress, [model]);
  try {
    data = await compare(model, {
      ...{ images, dataset, classMap, kernels, scales, numImages, limit, labels, keep, resume, threads },
      ...{ efforts: effort, outputs: flags.output, rounds: flags.runs, preprocess: parseRecipeFlags(flags) },
      exif: exif === 'apply' ? 'apply' : 'ignore',
      output: out,
      onPlan: (plan) => progress.plan(compareSteps(plan)),
      onForm: (name) => (form = name),
      onProgress: (stage, done, total) => {
        if (stage === 'time') shareOfOthers ??= watchOthers();
        progress.update(stageName(stage, form), done, total);
      },
      onNotice: progress.notice,
    });
  } finally {
    progress.stop();
  }
  warnIfBusy(shareOfOthers?.() ?? null);
  if (format === 'json') printJson({ ...data, warnings: warningsTold() });
  else if (format === 'table') printTables(data, out);
  else printLines([renderComparison(data, format).trimEnd()]);
}

const right = (title: string): Column => ({ title, align: 'right' });
const percent = (share: number): string => (100 * share).toFixed(1);
const shareText = (share: Share | null): string =>
  share === null ? '–' : `${percent(share.share)} (${share.interval.map(percent).join('–')})`;

/** Tables of 80 columns. */
function printTables(data: ComparisonData, out: string | undefined): void {
  const { models, dataset, calibration, observedImages } = data;
  if (out !== undefined) print(`Wrote ${oneLine(out)}`, '');
  print(
    `${dataset.images} images; calibrated on ${calibration.images}; 95 % intervals in brackets`,
    '',
    table(
      [{ title: 'model' }, right('top-1, %'), right('top-5, %'), right('agreement, %')],
      models.map(({ name, figures: { top1, top5, agreement } }) => [name, ...[top1, top5, agreement].map(shareText)]),
    ),
    '',
    table(
      [{ title: 'model' }, right('KL'), right('KL 90 %'), right('KL 99 %'), right('SQNR, dB')],
      models.map(({ name, figures: { kl, sqnrDb } }) => [
        name,
        ...[kl?.mean, kl?.p90, kl?.p99].map((value) => (value === undefined ? '–' : significant(value))),
        sqnrDb === null ? '–' : sqnrDb.toFixed(1),
      ]),
    ),
    '',
    table(
      [{ title: 'model' }, right('ms'), right('× float'), right('size'), { title: 'integers only' }],
      models.map((model) => [
        model.name,
        model.latencyMs.toFixed(2),
        model.timesFloat.toFixed(2),
        bytes(model.bytes),
        model.integerOnly ? 'yes' : 'no',
      ]),
    ),
    '',
    `Functions beside the exact ones, on ${observedImages} images:`,
    '',
    table(
      [{ title: 'function' }, { title: 'model' }, right('ops'), right('mean error'), right('largest error')],
      kindFigures(data).map(({ title, model, ops, meanError, maxError }) => [
        title,
        model,
        String(ops),
        significant(meanError),
        significant(maxError),
      ]),
    ),
    '',
    'ms: one image on one thread, the median; × float: so many times as fast.',
    `All of it took ${seconds(data.seconds)}.`,
  );
}
