import type { Command } from 'commander';
import { report } from '../api/report.js';
import type { ReportData } from '../report/index.js';
import { addExamples } from './examples.js';
import { compileKernels, noticeSlowRuntime } from './kernels.js';
import { addThreadsOption, positiveInteger } from './options.js';
import { Progress } from './progress.js';
import { decibels, oneLine, pairs, percent, print, printJson, significant, warningsTold } from './render.js';
import { beginReading } from './stages.js';

interface Flags {
  readonly float: string;
  readonly images: string;
  readonly output: string;
  readonly limit?: number;
  readonly threads?: number;
  readonly json?: boolean;
}

export function addReportCommand(program: Command): void {
  const command = program
    .command('report')
    .description('write what happened to a model: errors by layer, images that differ, what to do, as one page')
    .argument('<model.ivit>', 'the integer model')
    .requiredOption('--float <model.onnx>', 'the float model that it was made from')
    .requiredOption('--images <dir>', 'images that it was not calibrated on: a folder, or a list')
    .requiredOption('-o, --output <file>', 'the report: a page (.html) that needs no network, or JSON')
    .option('--limit <n>', 'use only so many images, drawn at random', positiveInteger)
    .option('--json', 'print the summary as JSON');
  addThreadsOption(command).action(run);
  addExamples(command, {
    'report model.ivit --float model.onnx --images photos/ -o report.html': 'a page that needs no network',
  });
}

async function run(model: string, { json, ...request }: Flags): Promise<void> {
  await compileKernels(undefined);
  noticeSlowRuntime();
  const progress = new Progress();
  beginReading(progress, [model, request.float]);
  let data: ReportData;
  try {
    data = await report(model, {
      ...request,
      onProgress: (_, done, total) => progress.update('Compare', done, total),
      onNotice: progress.notice,
    });
  } finally {
    progress.stop();
  }
  const { analysis, advice } = data;
  const { fidelity, disagreements } = analysis;
  if (json) {
    printJson({ output: request.output, fidelity, disagreements, advice, warnings: warningsTold() });
    return;
  }
  const { images, top1Agreement, interval, kl, sqnrDb } = fidelity;
  print(
    `Wrote ${oneLine(request.output)}`,
    '',
    pairs([
      ['images', String(images)],
      ...(top1Agreement === null || interval === null
        ? []
        : ([
            [
              'agreement',
              `${percent(top1Agreement)}, 95 % interval ${percent(interval[0])} to ${percent(interval[1])}`,
            ],
          ] as const)),
      ['', `${kl === null ? '' : `KL ${significant(kl.mean)}, `}SQNR ${decibels(sqnrDb)} dB`],
    ]),
    '',
    ...advice.map(({ text, option }) => `${text}${option === null ? '' : ` ${option}`}`),
  );
}
