import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { InputError, UsageError } from '../errors.js';
import { nearFile } from '../near-file.js';
import { isFloatLogits } from '../api/float-logits.js';
import { evaluateRows } from '../api/evaluate.js';
import type { PartHeader } from '../api/part-file.js';
import { partialName } from '../api/partial-file.js';
import type { Shard } from '../api/shard.js';
import { Model } from '../api/model.js';
import { checkOutputs } from '../api/outputs.js';
import { worstLayers } from '../quantize/index.js';
import { addExamples } from './examples.js';
import { RowPrinter, addFormatOption } from './format.js';
import type { FormatFlags } from './format.js';
import { addExifOption, addEngineOptions, engineOptions, findModel, positiveInteger } from './options.js';
import type { EngineFlags, ExifFlag } from './options.js';
import { checkConfusionName, checkConfusionSize, writeConfusion } from './confusion.js';
import { PredictionTable, evaluationJson, printEvaluation, warnOfSkipped } from './evaluation.js';
import { compileKernels, noticeSlowRuntime } from './kernels.js';
import { Progress } from './progress.js';
import { print, printJson, warningsTold } from './render.js';
import { RESULT_CELLS, appendResult, requireHeader } from './results-file.js';
import type { Result } from './results-file.js';
import { parseShard, shardFrom } from './shard.js';
import type { ShardFlag } from './shard.js';
import { beginReading, evaluationSteps } from './stages.js';
import { table } from './table.js';
import type { Step } from './time-left.js';

/** How many layers --layers names. */
const WORST_LAYERS = 10;

interface Flags extends EngineFlags, FormatFlags {
  readonly model?: readonly string[];
  readonly dataset: string;
  readonly classMap?: string;
  readonly float?: string;
  readonly saveFloat?: string;
  readonly limit?: number;
  readonly shard?: ShardFlag;
  readonly out?: string;
  readonly resume?: boolean;
  readonly exif: ExifFlag;
  readonly predictions?: string;
  readonly confusion?: string;
  readonly classes?: boolean;
  readonly resultsFile?: string;
  readonly layers?: number | true;
}

export function addEvalCommand(program: Command): void {
  const command = program
    .command('eval')
    .description('measure accuracy and speed of an integer model on a dataset')
    .requiredOption(
      '--dataset <dir>',
      'a folder of class folders, a table or list of images and classes, or WebDataset, Parquet, MNIST or CIFAR ' +
        'files (a pattern for several); with --float any images',
    )
    .option('-m, --model <files...>', '.ivit models (default: $IVIT_MODEL, else the only .ivit in this folder)')
    .option('--class-map <file>', "the dataset's class names, in the order of the model's classes")
    .option('--float <file>', 'compare with the float model (.onnx), or its logits kept with --save-float')
    .option('--save-float <file>', "keep the float model's logits, for --float of later runs")
    .option('--limit <n>', 'use only so many images, spread evenly', positiveInteger)
    .option(
      '--shard <i/n>',
      'only the i-th of n parts, or auto: as Slurm, Kubernetes, AWS or Google Batch say',
      parseShard,
    )
    .option('--out <file.jsonl>', 'write what is found, image by image, for ivit merge and --resume')
    .option('--resume', 'go on where a killed run with this --out ended')
    .option('--predictions <file.csv>', 'write the decision for each image')
    .option('--confusion <file>', 'write the confusion matrix: .csv, or .png')
    .option('--classes', 'show the least accurate classes, and those that are confused most')
    .option('--results-file <file.csv>', 'append the figures of each model to a table')
    .option(
      '--layers [n]',
      'name the n layers (default 10) that were farthest from float when the model was quantized',
      positiveInteger,
    );
  addFormatOption(command, 'each model');
  addExifOption(command, "they are not turned, as Python's datasets do not");
  addEngineOptions(command).action(run);
  addExamples(command, {
    'eval --dataset imagenet-val/ -m model.ivit': 'accuracy and speed',
    'eval --dataset photos/ --float model.onnx': 'beside the float model, with classes or without',
    'eval --dataset data.parquet -m a.ivit b.ivit --results-file results.csv': 'several models, a line of a table each',
  });
}

async function run(flags: Flags): Promise<void> {
  const models = flags.model ?? [findModel({})];
  checkFiles(models, flags);
  const shard = flags.shard === 'auto' ? shardFrom(process.env) : flags.shard;
  await compileKernels(flags.backend);
  if (flags.float !== undefined && !isFloatLogits(flags.float)) noticeSlowRuntime();
  const { format } = flags;
  const rows = format === 'csv' || format === 'jsonl' ? await RowPrinter.open(format, RESULT_CELLS) : null;
  const found: object[] = [];
  for (const [i, model] of models.entries()) {
    if (models.length > 1 && format === 'table') print(...(found.length > 0 ? [''] : []), model);
    const { json, result } = await evaluateModel(model, { ...flags, shard }, evaluationSteps(i, models.length));
    found.push(json);
    rows?.print([result], { model, ...json });
  }
  if (format !== 'json') return;
  const named = found.map((one, i) => ({ model: models[i], ...one }));
  printJson(
    models.length > 1 ? { models: named, warnings: warningsTold() } : { ...found[0], warnings: warningsTold() },
  );
}

/** @throws UsageError, or InputError where a file cannot be written */
function checkFiles(models: readonly string[], flags: Flags): void {
  const { dataset, float, saveFloat, out, predictions, confusion, resultsFile, classMap, shard } = flags;
  const single = { '--out': out, '--predictions': predictions, '--confusion': confusion, '--save-float': saveFloat };
  const given = Object.entries(single).find(([, file]) => file !== undefined);
  for (const model of models)
    if (!existsSync(model)) throw new InputError(`${model}: there is no such file${nearFile(model)}`);
  if (models.length > 1 && given !== undefined)
    throw new UsageError(`${given[0]} is of one model: give one (-m), or leave it out`);
  if (shard !== undefined && out === undefined)
    throw new UsageError('--shard evaluates a part: give the file to write it to (--out part.jsonl), for ivit merge');
  if (confusion !== undefined) checkConfusionName(confusion);
  checkOutputs(
    [
      { option: '--out', path: out, kind: 'part of an evaluation' },
      { option: '--out', path: out && partialName(out), kind: 'part of an evaluation' },
      { option: '--save-float', path: saveFloat, kind: 'file of float logits' },
      { option: '--predictions', path: predictions, kind: 'table of predictions' },
      { option: '--confusion', path: confusion, kind: 'confusion matrix' },
      { option: '--results-file', path: resultsFile, kind: 'any file' },
    ],
    [...models, float, dataset, classMap],
  );
  if (resultsFile !== undefined) requireHeader(resultsFile);
}

/**
 * Evaluates one model; prints what is found where people read it.
 *
 * @param steps this evaluation, and those that follow
 */
async function evaluateModel(
  file: string,
  flags: Omit<Flags, 'shard'> & { shard?: Shard },
  steps: readonly Step[],
): Promise<{ json: object; result: Result }> {
  const { predictions, confusion, resultsFile, format } = flags;
  const progress = new Progress();
  progress.plan(steps);
  let model: Model | undefined;
  const rows = new PredictionTable();
  try {
    beginReading(progress, [file, ...(flags.float === undefined ? [] : [flags.float])]);
    model = await Model.load(file, engineOptions(flags));
    const layers =
      flags.layers === undefined ? null : layersOf(model, flags.layers === true ? WORST_LAYERS : flags.layers);
    if (confusion !== undefined) checkConfusionSize(model.classes);
    const { dataset, classMap, float, saveFloat, limit, shard, out, resume } = flags;
    const { evaluation, evaluator, header } = await evaluateRows(model, {
      ...{ dataset, classMap, float, saveFloat, limit, shard, out, resume },
      exif: flags.exif === 'apply' ? 'apply' : 'ignore',
      onProgress: (_, done, total) => progress.update(steps[0].stage, done, total),
      onNotice: progress.notice,
      onRow: (row) => {
        if (predictions !== undefined) rows.add(row);
      },
    });
    progress.stop();
    if (predictions !== undefined) rows.write(predictions);
    if (confusion !== undefined) await writeConfusion(confusion, evaluator.confusion, header.classes, model.labels);
    const result = { evaluation, file, header };
    if (resultsFile !== undefined) appendResult(resultsFile, result);
    if (format !== 'table') warnOfSkipped(evaluation);
    else {
      const { backend, isa, threads } = model;
      const engine = `${backend} (${isa}), ${threads} thread${threads === 1 ? '' : 's'}`;
      printEvaluation(evaluation, { labels: model.labels, engine, byClass: flags.classes === true });
      if (layers !== null) printLayers(layers);
      warnOfSkipped(evaluation);
    }
    const json = {
      ...shardJson(header),
      ...evaluationJson(evaluation, model.labels),
      ...(layers !== null && { layers }),
    };
    return { json, result };
  } finally {
    progress.stop();
    await model?.close();
  }
}

function shardJson({ shard }: PartHeader): object {
  return shard.count === 1 ? {} : { shard };
}

/** The layers whose outputs were farthest from float on calibration images, worst first. */
function layersOf(model: Model, count: number): { name: string; sqnrDb: number }[] {
  const { layers } = model.file.provenance;
  if (layers === undefined)
    throw new InputError('The model says nothing of its layers; quantize it again for --layers');
  return worstLayers(
    layers.map(({ name, sqnrDb }) => ({ name, sqnrDb: Number(sqnrDb) })),
    count,
  );
}

function printLayers(layers: readonly { name: string; sqnrDb: number }[]): void {
  const rows = layers.map(({ name, sqnrDb }) => [name, `${sqnrDb.toFixed(1)} dB`]);
  print(
    '',
    'Farthest from float when quantized, on calibration images held out:',
    '',
    table([{ title: 'layer' }, { title: 'SQNR', align: 'right' }], rows),
  );
}
