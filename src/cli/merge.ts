import type { Command } from 'commander';
import { mergeEvaluations } from '../api/merge.js';
import { checkOutputs } from '../api/outputs.js';
import { addExamples } from './examples.js';
import { checkConfusionName, checkConfusionSize, writeConfusion } from './confusion.js';
import { PredictionTable, evaluationJson, printEvaluation, warnOfSkipped } from './evaluation.js';
import { addFormatOption, printRows } from './format.js';
import type { FormatFlags } from './format.js';
import { notice, printJson, printLines, warningsTold } from './render.js';
import { RESULT_CELLS, appendResult, requireHeader } from './results-file.js';

interface Flags extends FormatFlags {
  readonly predictions?: string;
  readonly confusion?: string;
  readonly classes?: boolean;
  readonly resultsFile?: string;
}

export function addMergeCommand(program: Command): void {
  const command = program
    .command('merge')
    .description('put the parts of an evaluation together: the figures of one run over all images')
    .argument('<parts...>', 'what ivit eval --out wrote, or folders of it')
    .option('--predictions <file.csv>', 'write the decision for each image')
    .option('--confusion <file>', 'write the confusion matrix: .csv, or .png')
    .option('--classes', 'show the least accurate classes, and those that are confused most')
    .option('--results-file <file.csv>', 'append the figures to a table');
  addFormatOption(command, 'all parts').action(run);
  addExamples(command, {
    'merge parts/': 'the figures of all parts that ivit eval --out wrote into a folder',
    'merge part-1.jsonl part-2.jsonl --confusion confusion.png': 'with the confusion matrix',
  });
}

async function run(parts: readonly string[], flags: Flags): Promise<void> {
  const { predictions, confusion, resultsFile, format } = flags;
  if (confusion !== undefined) checkConfusionName(confusion);
  checkOutputs(
    [
      { option: '--predictions', path: predictions, kind: 'table of predictions' },
      { option: '--confusion', path: confusion, kind: 'confusion matrix' },
      { option: '--results-file', path: resultsFile, kind: 'any file' },
    ],
    parts,
  );
  if (resultsFile !== undefined) requireHeader(resultsFile);
  const rows = new PredictionTable();
  const merged = await mergeEvaluations(parts, { onNotice: notice, onRow: (row) => rows.add(row) });
  const { evaluation, evaluator, header, files, overlapping } = merged;
  const { labels, name } = header.model;
  if (confusion !== undefined) checkConfusionSize(header.classes);
  if (predictions !== undefined) rows.write(predictions);
  if (confusion !== undefined) await writeConfusion(confusion, evaluator.confusion, header.classes, labels);
  const result = { evaluation, file: name, header };
  if (resultsFile !== undefined) appendResult(resultsFile, result);
  warnOfSkipped(evaluation);
  if (format === 'csv') return await printRows(format, RESULT_CELLS, [result]);
  if (format !== 'table') {
    const json = { parts: files, overlapping, ...evaluationJson(evaluation, labels), warnings: warningsTold() };
    return format === 'json' ? printJson(json) : printLines([JSON.stringify(json)]);
  }
  const again = overlapping === 0 ? '' : `, ${overlapping} images in several, alike in each`;
  notice(`${files.length} parts${again}`);
  printEvaluation(evaluation, { labels, engine: 'each of the machines', byClass: flags.classes === true });
}
