/** A comparison as Markdown and as CSV. */
import { bytes, milliseconds, significant } from '../../number-format.js';
import type { Share } from '../../metrics/comparison.js';
import { csvLine } from '../../csv.js';
import { functionTitles, kindFigures, modelsWithFunctions, opFigures } from './functions.js';
import type { ComparedModel, ComparisonData } from './types.js';

const percent = (share: number): string => (100 * share).toFixed(1);
const NONE = '–';

/** `83.6 (80.1 to 86.6)`, in per cent. */
const shareText = (share: Share | null): string =>
  share === null ? NONE : `${percent(share.share)} (${share.interval.map(percent).join(' to ')})`;

/** The columns of the table of models, for people. */
export const MODEL_COLUMNS: readonly (readonly [title: string, cell: (model: ComparedModel) => string])[] = [
  ['model', ({ name, settings }) => (settings === null && name !== 'float' ? `ONNX Runtime ${name}` : name)],
  ['top-1, %', ({ figures }) => shareText(figures.top1)],
  ['top-5, %', ({ figures }) => shareText(figures.top5)],
  ['agreement, %', ({ figures }) => shareText(figures.agreement)],
  ['KL', ({ figures: { kl } }) => (kl === null ? NONE : significant(kl.mean))],
  ['KL 90 %', ({ figures: { kl } }) => (kl === null ? NONE : significant(kl.p90))],
  ['KL 99 %', ({ figures: { kl } }) => (kl === null ? NONE : significant(kl.p99))],
  ['SQNR, dB', ({ figures: { sqnrDb } }) => (sqnrDb === null ? NONE : sqnrDb.toFixed(1))],
  ['one thread', ({ latencyMs }) => milliseconds(latencyMs)],
  ['× float', ({ timesFloat }) => timesFloat.toFixed(2)],
  ['size', (model) => bytes(model.bytes)],
  ['integers only', ({ integerOnly }) => (integerOnly ? 'yes' : 'no')],
];

export const KIND_HEADS = ['function', 'model', 'ops', 'mean error', 'largest error', 'largest in'] as const;

/** The rows of the table of functions, for people. */
export function kindRows(data: ComparisonData): string[][] {
  return kindFigures(data).map(({ title, model, ops, meanError, maxError, worst }) => [
    title,
    model,
    String(ops),
    significant(meanError),
    significant(maxError),
    worst,
  ]);
}

/** What was measured, in sentences. */
export function aboutComparison({ comparison, calibration, dataset, machine, tool }: ComparisonData): string {
  const skipped = dataset.skipped === 0 ? '' : ` (${dataset.skipped} more were skipped)`;
  return (
    `${comparison}, calibrated on ${calibration.images} images of ${calibration.source}, measured on ` +
    `${dataset.images} images of ${dataset.source}${skipped}, with ${tool} on ${machine}. In brackets: 95 % ` +
    "intervals. Times are medians of one image on one thread, measured in turns; × float is the float model's time " +
    'over the own.'
  );
}

export function aboutFunctions({ observedImages }: ComparisonData): string {
  return (
    `Each function beside the exact one, on the integers that it gets in its own model, of ${observedImages} images: ` +
    'probabilities of softmax, values of activations, standard deviations of norms (without weight and bias).'
  );
}

/** Two tables by kind, and one op by op. */
export function comparisonMarkdown(data: ComparisonData): string {
  const models = data.models.map((model) => MODEL_COLUMNS.map(([, cell]) => cell(model)));
  const compared = modelsWithFunctions(data);
  const ops = opFigures(data).map(({ name, title, errors }) => [
    name,
    title,
    ...errors.map((one) => (one === undefined ? NONE : `${significant(one.meanError)}; ${significant(one.maxError)}`)),
  ]);
  const escaped = (rows: readonly (readonly string[])[]) =>
    rows.map((row) => row.map((cell) => cell.replaceAll('|', String.raw`\|`)));
  return [
    `# Comparison of the forms of ${data.comparison}`,
    '',
    `    ${data.command}`,
    '',
    aboutComparison(data),
    '',
    markdownTable(
      MODEL_COLUMNS.map(([title]) => title),
      escaped(models),
      1,
    ),
    '',
    '## Functions',
    '',
    aboutFunctions(data),
    '',
    markdownTable(KIND_HEADS, escaped(kindRows(data)), 2),
    '',
    'Op by op, mean and largest error:',
    '',
    markdownTable(['op', 'function', ...compared.map(({ name }) => name)], escaped(ops), 2),
    '',
  ].join('\n');
}

/** @param texts how many of the columns are text: the others are set right */
function markdownTable(heads: readonly string[], rows: readonly (readonly string[])[], texts: number): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = `|${heads.map((_, i) => (i < texts ? '---' : '--:')).join('|')}|`;
  return [line(heads), rule, ...rows.map(line)].join('\n');
}

const CSV_COLUMNS: readonly (readonly [title: string, cell: (model: ComparedModel) => string | number | undefined])[] =
  [
    ['model', ({ name }) => name],
    ['kernels', ({ settings }) => settings?.kernels],
    ['scales', ({ settings }) => settings?.scales],
    ['effort', ({ settings }) => settings?.effort],
    ['engine', ({ engine }) => engine],
    ['images', ({ figures }) => figures.images],
    ...(['top1', 'top5', 'agreement'] as const).flatMap((key) => [
      [key, ({ figures }: ComparedModel) => figures[key]?.share] as const,
      [`${key}_low`, ({ figures }: ComparedModel) => figures[key]?.interval[0]] as const,
      [`${key}_high`, ({ figures }: ComparedModel) => figures[key]?.interval[1]] as const,
    ]),
    ['kl', ({ figures }) => figures.kl?.mean],
    ['kl_p90', ({ figures }) => figures.kl?.p90],
    ['kl_p99', ({ figures }) => figures.kl?.p99],
    ['sqnr_db', ({ figures }) => figures.sqnrDb ?? undefined],
    ['latency_ms', ({ latencyMs }) => latencyMs],
    ['times_float', ({ timesFloat }) => timesFloat],
    ['bytes', (model) => model.bytes],
    ['integers_only', ({ integerOnly }) => (integerOnly ? 'yes' : 'no')],
  ];

/** One table: the models, and what the functions of each kind come to in them. */
export function comparisonCsv(data: ComparisonData): string {
  const kinds = kindFigures(data);
  const ofKinds = functionTitles(data).flatMap((title) =>
    (['meanError', 'maxError'] as const).map((key) => {
      const heads = { meanError: `${title}_mean_error`, maxError: `${title}_max_error` };
      const cell = ({ name }: ComparedModel) => kinds.find((one) => one.title === title && one.model === name)?.[key];
      return [heads[key], cell] as const;
    }),
  );
  const columns = [...CSV_COLUMNS, ...ofKinds];
  const rows = [columns.map(([title]) => title), ...data.models.map((model) => columns.map(([, cell]) => cell(model)))];
  return rows.map((row) => `${csvLine(row)}\n`).join('');
}
