/** What a model gives for one image, output by output: in Node and in browsers. */
import { UsageError } from '../errors.js';
import { scaled } from './agreement.js';
import type { ModelOutput } from './output.js';
import { classifierOf, outputOf } from './output.js';
import { rank, type Prediction } from './predictions.js';
import { applyTail, type Reals } from './tail.js';

/** One of a model's outputs. */
export interface OutputInfo extends Omit<ModelOutput, 'start'> {
  /** Real value of one unit of its integers. */
  readonly scale: number;
}

/** What a model gives for one image, of one output. */
export interface OutputResult extends OutputInfo {
  /** Of the output's shape, row-major; before what `tail` names. */
  readonly values: Int32Array;
  /** The most likely classes, where the output is a class vector; else none. */
  readonly predictions: readonly Prediction[];
}

/** What of a model tells its outputs apart. */
export interface OutputLayout {
  readonly outputs: readonly ModelOutput[];
  readonly labels: readonly string[] | null;
  /** Real value of one unit of the output. */
  readonly scale: number;
}

export function outputInfos({ outputs, scale }: OutputLayout): OutputInfo[] {
  return outputs.map(({ name, shape, tail, isClasses }) => ({ name, shape, tail, isClasses, scale }));
}

/** What a model gives, output by output, with the `top` most likely classes of each class vector. */
export function resultsOf(values: Int32Array, layout: OutputLayout, top: number): OutputResult[] {
  const { outputs, scale } = layout;
  const classifier = classifierOf(outputs);
  const infos = outputInfos(layout);
  return outputs.map((output, i) => {
    const own = outputOf(values, output);
    const labels = output.start === classifier?.start ? layout.labels : null;
    const predictions = output.isClasses ? rank(output, own, { top, labels, scale }) : [];
    return { ...infos[i], values: own, predictions };
  });
}

/** Whether class scores are all that a model gives. */
export const isOnlyClassifier = (outputs: readonly Pick<ModelOutput, 'isClasses'>[]): boolean =>
  outputs.length === 1 && outputs[0].isClasses;

/**
 * An output's real numbers as the float model gives them: its last steps, such as a softmax, are done.
 *
 * @throws UsageError for what is no output of a model
 */
export function realValues(output: Omit<OutputResult, 'predictions'>): Reals {
  if (!((output as OutputResult | null)?.values instanceof Int32Array) || !Array.isArray(output.tail))
    throw new UsageError('realValues: output must be one of the results of a model');
  const { values, shape, scale, tail } = output;
  return applyTail({ shape, values: scaled(values, scale) }, tail);
}

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
