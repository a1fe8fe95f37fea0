/** What infer prints of outputs that are no classes. */
import type { Prediction } from '../metrics/predictions.js';
import { softmax } from '../metrics/agreement.js';
import { topIndices } from '../metrics/accuracy.js';
import { describeOutput } from '../metrics/output.js';
import { realValues, summaryOf } from '../metrics/results.js';
import type { OutputResult } from '../metrics/results.js';
import type { Reals } from '../metrics/tail.js';
import { oneLine, percent, significant } from './render.js';

/** Numbers that are few enough to be shown themselves. */
const FEW = 8;

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
