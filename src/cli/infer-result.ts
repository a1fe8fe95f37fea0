/** What infer tells of an image. */
import path from 'node:path';
import type { Inferred } from '../api/infer-images.js';
import type { Model } from '../api/model.js';
import { labelText } from '../images/label-text.js';
import { describeOutput } from '../metrics/output.js';
import { digestOf } from '../metrics/output-digest.js';
import type { Prediction } from '../metrics/predictions.js';
import { isOnlyClassifier, summaryOf } from '../metrics/results.js';
import type { OutputResult, OutputSummary } from '../metrics/results.js';
import type { Cells } from './format.js';
import { outputLines, predictionLines } from './output-summary.js';
import { oneLine, percent, print, printLines } from './render.js';

export interface ImageResult {
  readonly path: string;
  readonly predictions: readonly Prediction[];
  /** Of a model that is more, or other, than one classifier: every output. */
  readonly outputs?: readonly OutputSummary[];
  readonly logits?: readonly number[];
  /** SHA-256 of all integers that the model gives, as docs/format.md defines it. */
  readonly digest?: string;
  /** Of inference alone, without decoding and resizing. */
  readonly ms: number;
  /** Where the image was turned upright by its EXIF orientation. */
  readonly turned?: true;
}

/** What is asked for. */
export interface Wanted {
  readonly top: number;
  /** In place of the model's own. */
  readonly labels: readonly string[] | null;
  readonly logits: boolean;
  readonly digest: boolean;
  readonly turns: boolean;
}

export function resultOf(
  model: Model,
  file: string,
  { values, ms, isTurned }: Inferred,
  { top, labels, ...wanted }: Wanted,
): { result: ImageResult; outputs: OutputResult[] } {
  const logits = model.logitsOf(values);
  const named = (one: Prediction) => (labels === null ? one : { ...one, label: labelText(labels[one.index]) });
  const predictions = model.predictions(logits, top).map(named);
  // The classes of the classifier, under the names given.
  const isClassifiers = ({ isClasses, values: own }: OutputResult) => isClasses && own.byteOffset === logits.byteOffset;
  const outputs = model.results(values, top).map((one) => (isClassifiers(one) ? { ...one, predictions } : one));
  const result = {
    path: file,
    predictions,
    ...(!isOnlyClassifier(outputs) && { outputs: outputs.map(summaryOf) }),
    ...(wanted.logits && { logits: [...logits] }),
    ...(wanted.digest && { digest: digestOf(values) }),
    ms,
    ...(isTurned && wanted.turns && { turned: true as const }),
  };
  return { result, outputs };
}

/** What stands above an image of a sheet: its name, and what the model takes it for. */
export function titleOf({ path: file, predictions: [first] }: ImageResult): string {
  const name = path.basename(file);
  return first === undefined
    ? name
    : `${name}: ${first.label ?? `class ${first.index}`}, ${percent(first.probability)}`;
}

export function printResult(
  { path: file, predictions, logits, digest }: ImageResult,
  outputs: readonly OutputResult[],
  { top, isFirst }: { readonly top: number; readonly isFirst: boolean },
): void {
  if (digest !== undefined) {
    printLines([`${digest}  ${oneLine(file)}`]); // as sha256sum writes it
    return;
  }
  const lines = isOnlyClassifier(outputs) ? predictionLines(predictions) : outputLines(outputs, top);
  if (logits !== undefined) lines.push(`  logits: ${logits.join(' ')}`);
  print(...(isFirst ? [] : ['']), oneLine(file), ...lines);
}

/** A class, or an output that is no classes. */
interface Row {
  readonly result: ImageResult;
  readonly output: OutputResult;
  readonly prediction?: Prediction;
  readonly rank?: number;
}

export const INFER_CELLS: Cells<Row> = {
  path: ({ result }) => result.path,
  output: ({ output }) => describeOutput(output),
  rank: ({ rank }) => rank,
  class: ({ prediction }) => prediction?.index,
  label: ({ prediction }) => prediction?.label,
  probability: ({ prediction }) => prediction?.probability.toFixed(6),
  min: ({ output, prediction }) => (prediction === undefined ? summaryOf(output).min : null),
  max: ({ output, prediction }) => (prediction === undefined ? summaryOf(output).max : null),
  mean: ({ output, prediction }) => (prediction === undefined ? summaryOf(output).mean : null),
  digest: ({ result }) => result.digest,
  ms: ({ result }) => result.ms.toFixed(3),
};

export function rowsOf(result: ImageResult, outputs: readonly OutputResult[]): Row[] {
  return outputs.flatMap((output): Row[] =>
    output.isClasses
      ? output.predictions.map((prediction, i) => ({ result, output, prediction, rank: i + 1 }))
      : [{ result, output }],
  );
}
