/** How evaluations look, printed and in files: those of one run, and merged ones. */
import { writeAtomically } from '../program/file.js';
import { labelText } from '../images/label-text.js';
import type { Interval } from '../metrics/interval.js';
import type { RowLabel } from '../metrics/image-row.js';
import type { Evaluation, FloatComparison } from '../api/evaluation.js';
import type { Row } from '../api/part-file.js';
import { csvLine } from '../csv.js';
import { decibels, milliseconds, pairs, percent, print, significant, warn } from './render.js';
import { similarityRows } from './similarity.js';
import { table } from './table.js';

/** How many classes and pairs of classes are shown. */
const SHOWN = 5;

/** What is said of a run beside its figures. */
export interface EvaluationContext {
  readonly labels: readonly string[] | null;
  /** What ran the model, for the line that tells the speed. */
  readonly engine: string;
  /** Whether to show classes, and how many classes are confused. */
  readonly byClass: boolean;
}

export function printEvaluation(evaluation: Evaluation, { labels, engine, byClass }: EvaluationContext): void {
  const { images, skipped, float } = evaluation;
  print(
    pairs([
      ['images', `${images}${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`],
      ...accuracyRows(evaluation),
      ...(float === undefined ? [] : comparisonRows(float)),
      ...speedRows(evaluation, engine),
    ]),
  );
  if (byClass) printClasses(evaluation, labels);
}

/** JSON of an evaluation, its classes named. */
export function evaluationJson(evaluation: Evaluation, labels: readonly string[] | null): object {
  const { classAccuracy, confused } = evaluation;
  return {
    ...evaluation,
    classAccuracy: classAccuracy.map((one) => ({ ...one, name: nameOf(one.label, labels) })),
    confused: confused.map(({ label, prediction, images }) => ({
      label,
      prediction,
      images,
      names: [nameOf(label, labels), nameOf(prediction, labels)],
    })),
  };
}

function accuracyRows(evaluation: Evaluation): (readonly [string, string])[] {
  const { top1, top5, top1Interval, ece, meanAveragePrecision, float } = evaluation;
  const beside = (other: number | null | undefined) =>
    typeof other === 'number' ? `   float ${percent(other, 2)}` : '';
  return [
    ...(top1 === null ? [] : ([['top-1', percent(top1, 2) + interval(top1Interval) + beside(float?.top1)]] as const)),
    ...(top5 === null ? [] : ([['top-5', percent(top5, 2) + beside(float?.top5)]] as const)),
    ...(meanAveragePrecision === null ? [] : ([['mAP', percent(meanAveragePrecision, 2)]] as const)),
    ...(ece === null ? [] : ([['ECE', `${percent(ece, 2)} between confidence and accuracy`]] as const)),
  ];
}

function speedRows({ imagesPerSecond, latencyMs }: Evaluation, engine: string): [string, string][] {
  if (imagesPerSecond === null || latencyMs === null) return [];
  const [p50, p90, p99] = [latencyMs.p50, latencyMs.p90, latencyMs.p99].map(milliseconds);
  return [
    ['speed', `${imagesPerSecond.toFixed(1)} images/s with decoding, ${engine}`],
    ['latency', `p50 ${p50}, p90 ${p90}, p99 ${p99}`],
  ];
}

/** The 95 % interval of a share, in per cent. */
const interval = (shares: Interval | null): string =>
  shares === null ? '' : ` (${shares.map((share) => (100 * share).toFixed(2)).join(' to ')})`;

function comparisonRows(float: FloatComparison): (readonly [string, string])[] {
  const { agreement, agreementInterval, kl, klQuantiles, sqnrDb, outputs, runtime } = float;
  const quantiles = klQuantiles === null ? [] : [klQuantiles.p50, klQuantiles.p90, klQuantiles.p99];
  const decided: [string, string][] =
    agreement === null || kl === null
      ? []
      : [
          [
            'agreement',
            `${percent(agreement, 2)}${interval(agreementInterval)} decided as the float model does (${runtime})`,
          ],
          ['', `KL ${significant(kl)}, SQNR ${decibels(sqnrDb)} dB`],
          ['', `KL of 50, 90 and 99 % of images: at most ${quantiles.map(significant).join(', ')}`],
        ];
  return outputs.length === 1 && decided.length > 0 ? decided : [...decided, ...similarityRows(outputs)];
}

function printClasses({ classAccuracy, confused }: Evaluation, labels: readonly string[] | null): void {
  const worst = [...classAccuracy].sort((a, b) => a.top1 - b.top1 || a.label - b.label).slice(0, SHOWN);
  if (worst.length > 0)
    print(
      '',
      `Least accurate of ${classAccuracy.length} classes:`,
      '',
      table(
        [{ title: 'class' }, { title: 'images', align: 'right' }, { title: 'top-1', align: 'right' }],
        worst.map(({ label, images, top1 }) => [nameOf(label, labels), String(images), percent(top1)]),
      ),
    );
  if (confused.length > 0)
    print(
      '',
      'Confused most:',
      '',
      table(
        [{ title: 'class' }, { title: 'taken for' }, { title: 'images', align: 'right' }],
        confused
          .slice(0, SHOWN)
          .map(({ label, prediction, images }) => [nameOf(label, labels), nameOf(prediction, labels), String(images)]),
      ),
    );
}

const nameOf = (index: number, labels: readonly string[] | null): string =>
  labels?.[index] === undefined ? String(index) : labelText(labels[index]);

export function warnOfSkipped({ skipped }: Evaluation): void {
  for (const { path, reason } of skipped)
    warn(reason.includes(path) ? `skipped: ${reason}` : `skipped ${path}: ${reason}`);
}

/** The decision for each image, as CSV. */
export class PredictionTable {
  private readonly rows: (readonly (string | number)[])[] = [];
  private hasFloat = false;

  add(row: Row): void {
    if ('skipped' in row || row.prediction === null) return;
    const { path, label, prediction, probability, rank, float } = row;
    const fields = [
      path,
      labelField(label),
      prediction,
      probability!.toFixed(6),
      rank === null ? '' : Number(rank === 0),
      ...(float === undefined ? [] : [float.prediction ?? '']),
    ];
    this.hasFloat ||= float !== undefined;
    this.rows.push(fields);
  }

  /** @throws InputError where it cannot be written */
  write(file: string): void {
    const header = `path,label,prediction,probability,correct${this.hasFloat ? ',float_prediction' : ''}`;
    writeAtomically(file, new TextEncoder().encode([header, ...this.rows.map(csvLine), ''].join('\n')));
  }
}

function labelField(label: RowLabel): string {
  if (label === null) return '';
  return typeof label === 'number' ? String(label) : label.join(';');
}
