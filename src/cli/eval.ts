import type { Command } from 'commander';
import { InputError } from '../errors.js';
import { evaluate } from '../api/evaluate.js';
import type { Evaluation, FloatComparison } from '../api/evaluate.js';
import type { EvaluatedImage } from '../api/requests.js';
import { Model } from '../api/model.js';
import { checkOutputs } from '../api/outputs.js';
import { writeAtomically } from '../program/file.js';
import { worstLayers } from '../quantize/index.js';
import { addExifOption, addModelOptions, engineOptions, findModel, positiveInteger } from './options.js';
import type { ExifFlag, ModelFlags } from './options.js';
import { compileKernels, noticeSlowRuntime } from './kernels.js';
import { Progress } from './progress.js';
import { milliseconds, notice, pairs, percent, print, printJson, significant, warn, warningsTold } from './render.js';
import { similarityRows } from './similarity.js';
import { table } from './table.js';

/** How many layers --layers names. */
const WORST_LAYERS = 10;

interface Flags extends ModelFlags {
  readonly dataset: string;
  readonly float?: string;
  readonly limit?: number;
  readonly exif: ExifFlag;
  readonly predictions?: string;
  readonly layers?: number | true;
  readonly json?: boolean;
}

export function addEvalCommand(program: Command): void {
  const command = program
    .command('eval')
    .description('measure accuracy and speed of an integer model on a dataset')
    .requiredOption(
      '--dataset <dir>',
      'a folder of class folders, or a table or list of images and classes; with --float any folder of images',
    )
    .option('--float <model.onnx>', 'compare with the float model on the same images, output by output')
    .option('--limit <n>', 'use only so many images, spread evenly', positiveInteger)
    .option('--predictions <file.csv>', 'write the decision for each image')
    .option(
      '--layers [n]',
      'name the n layers (default 10) that were farthest from float when the model was quantized',
      positiveInteger,
    )
    .option('--json', 'print the figures as JSON');
  addExifOption(command, "they are not turned, as Python's datasets do not");
  addModelOptions(command).action(run);
}

async function run(flags: Flags): Promise<void> {
  const { predictions } = flags;
  const path = findModel(flags);
  checkOutputs(
    [{ option: '--predictions', path: predictions, kind: 'table of predictions' }],
    [path, flags.float, flags.dataset],
  );
  await compileKernels(flags.backend);
  if (flags.float !== undefined) noticeSlowRuntime();
  const model = await Model.load(path, engineOptions(flags));
  const progress = new Progress();
  const rows: string[] = [];
  try {
    const layers =
      flags.layers === undefined ? null : layersOf(model, flags.layers === true ? WORST_LAYERS : flags.layers);
    const evaluation = await evaluate(model, {
      dataset: flags.dataset,
      float: flags.float,
      limit: flags.limit,
      exif: flags.exif === 'apply' ? 'apply' : 'ignore',
      onProgress: (done, total) => progress.update('Evaluate', done, total),
      onNotice: notice,
      onImage: (image) => {
        if (predictions !== undefined && model.classes > 0) rows.push(predictionRow(model, image));
      },
    });
    progress.stop();
    if (predictions !== undefined) {
      const header = `path,label,prediction,probability,correct${flags.float === undefined ? '' : ',float_prediction'}`;
      writeAtomically(predictions, new TextEncoder().encode([header, ...rows, ''].join('\n')));
    }
    if (flags.json) {
      warnOfSkipped(evaluation);
      printJson({ ...evaluation, ...(layers !== null && { layers }), warnings: warningsTold() });
    } else {
      printEvaluation(evaluation, model);
      if (layers !== null) printLayers(layers);
      warnOfSkipped(evaluation);
    }
  } finally {
    progress.stop();
    await model.close();
  }
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

function predictionRow(model: Model, { path, label, logits, floatPrediction }: EvaluatedImage): string {
  const [{ index, probability }] = model.predictions(logits, 1);
  const fields = [
    csvField(path),
    label ?? '',
    index,
    probability.toFixed(6),
    label === null ? '' : Number(index === label),
  ];
  return [...fields, ...(floatPrediction === undefined ? [] : [floatPrediction])].join(',');
}

function csvField(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function printEvaluation(evaluation: Evaluation, model: Model): void {
  const { images, top1, top5, imagesPerSecond, latencyMs, skipped, float } = evaluation;
  const beside = (name: string, value: number | null, other: number | null | undefined): [string, string][] =>
    value === null
      ? []
      : [[name, percent(value, 2) + (typeof other === 'number' ? `   float ${percent(other, 2)}` : '')]];
  print(
    pairs([
      ['images', `${images}${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`],
      ...beside('top-1', top1, float?.top1),
      ...beside('top-5', top5, float?.top5),
      ...(float === undefined ? [] : comparisonRows(float)),
      [
        'speed',
        `${imagesPerSecond.toFixed(1)} images/s with decoding, ${model.backend} (${model.isa}), ${model.threads} ` +
          `thread${model.threads === 1 ? '' : 's'}`,
      ],
      [
        'latency',
        `p50 ${milliseconds(latencyMs.p50)}, p90 ${milliseconds(latencyMs.p90)}, p99 ${milliseconds(latencyMs.p99)}`,
      ],
    ]),
  );
}

function comparisonRows({ agreement, kl, sqnrDb, outputs, runtime }: FloatComparison): [string, string][] {
  const decided: [string, string][] =
    agreement === null || kl === null
      ? []
      : [
          ['agreement', `${percent(agreement, 2)} decided as the float model does (${runtime})`],
          ['', `KL ${significant(kl)}, SQNR ${sqnrDb.toFixed(1)} dB`],
        ];
  return outputs.length === 1 && decided.length > 0 ? decided : [...decided, ...similarityRows(outputs)];
}

function warnOfSkipped({ skipped }: Evaluation): void {
  for (const { path, reason } of skipped)
    warn(reason.includes(path) ? `skipped: ${reason}` : `skipped ${path}: ${reason}`);
}
