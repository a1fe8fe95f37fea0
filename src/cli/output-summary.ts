/** What infer prints of outputs that are no classes. */
import { realValues } from '../api/model.js';
import type { OutputResult } from '../api/model.js';
import type { Prediction } from '../metrics/predictions.js';
import { softmax } from '../metrics/agreement.js';
import { topIndices } from '../metrics/accuracy.js';
import { describeOutput } from '../metrics/output.js';
import type { Reals } from '../metrics/tail.js';
import { oneLine, percent, significant } from './render.js';

/** An output in figures, as `infer --json` gives it. */
export interface OutputSummary {
  readonly name: string;
  /** As the float model gives it, its last steps done. */
  readonly shape: readonly number[];
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  /** Real value of one unit of the integers. */
  readonly scale: number;
  /** Of a class vector. */
  readonly predictions?: readonly Prediction[];
}

/** Numbers that are few enough to be shown themselves. */
const FEW = 8;

export function summaryOf(output: OutputResult): OutputSummary {
  const { shape, values } = realValues(output);
  const { name, scale, predictions, isClasses } = output;
  let [min, max, sum] = [Infinity, -Infinity, 0];
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
  }
  return { name, shape, min, max, mean: sum / values.length, scale, ...(isClasses && { predictions }) };
}

export function predictionLines(predictions: readonly Prediction[]): string[] {
  return predictions.map(
    ({ index, label, probability }) =>
      `  ${percent(probability).padStart(7)}  ${label === null ? `class ${index}` : `${oneLine(label)} (${index})`}`,
  );
}

/**
 * The lines of each output: the classes of a class vector, the boxes of a detector, few numbers themselves, else a
 * summary.
 */
export function outputLines(outputs: readonly OutputResult[], top: number): string[] {
  return outputs.flatMap((output) => {
    const reals = realValues(output);
    const title = `  ${describeOutput({ name: oneLine(output.name), shape: reals.shape })}`;
    if (output.isClasses) return [title, ...predictionLines(output.predictions).map((line) => `  ${line}`)];
    if (reals.values.length <= FEW) return [`${title}: ${Array.from(reals.values, significant).join(' ')}`];
    if (isBoxes(output)) return [title, ...boxLines(reals, outputs, top)];
    const { min, max, mean } = summaryOf(output);
    return [`${title}: min ${significant(min)}, max ${significant(max)}, mean ${significant(mean)}`];
  });
}

/** Four numbers for each of several boxes. */
const isBoxes = ({ name, shape }: OutputResult): boolean =>
  /box/i.test(name) && shape.length === 2 && shape[0] > 1 && shape[1] === 4;

/** Boxes, the likeliest first where the model has class scores for each. */
function boxLines({ shape, values }: Reals, outputs: readonly OutputResult[], top: number): string[] {
  const scores = outputs.find((one) => /logit|class|score/i.test(one.name) && one.shape.length === 2);
  const best = scores?.shape[0] === shape[0] ? bestClasses(scores) : null;
  const order =
    best === null
      ? Array.from({ length: shape[0] }, (_, i) => i)
      : topIndices(
          best.map(({ probability }) => probability),
          shape[0],
        );
  return order.slice(0, top).map((i) => {
    const box = Array.from(values.subarray(4 * i, 4 * i + 4), (value) => significant(value)).join(' ');
    const found = best === null ? '' : `${percent(best[i].probability).padStart(7)}  class ${best[i].index}  `;
    return `    ${found}${box}`;
  });
}

/** The likeliest class of each row of scores. */
function bestClasses(scores: OutputResult): { index: number; probability: number }[] {
  const { shape, values } = realValues(scores);
  const [rows, cols] = shape;
  const areProbabilities = scores.tail.length > 0;
  return Array.from({ length: rows }, (_, r) => {
    const row = values.slice(r * cols, (r + 1) * cols);
    const [index] = topIndices(row, 1);
    return { index, probability: areProbabilities ? row[index] : softmax(row, 1)[index] };
  });
}
