/** What is found on one image: all figures of an evaluation are made from these, in the images' order. */
import { rankOf } from './accuracy.js';
import { argmax, compareScores } from './agreement.js';
import type { PairFigures } from './agreement.js';
import { classifierOf, outputOf, outputSize, type ModelOutput } from './output.js';
import { compareOutput } from './similarity.js';
import type { OutputFigures } from './similarity.js';

/** The class of an image, or all of them; null where the dataset says none. */
export type RowLabel = number | readonly number[] | null;

export interface ImageRow {
  /** The image's place in the dataset. */
  readonly index: number;
  readonly path: string;
  readonly label: RowLabel;
  /** The first class, and its probability for display; null where the model has no classes. */
  readonly prediction: number | null;
  readonly probability: number | null;
  /** How many classes come before the image's own; null where there is none. */
  readonly rank: number | null;
  /** Of inference alone. */
  readonly ms: number;
  /** Whether its EXIF data give an orientation other than upright. */
  readonly turned?: true;
  /** Whether it lost its colours. */
  readonly coloured?: true;
  /** SHA-256 of all integers that the model gives, where rows are kept. */
  readonly digest?: string;
  /** The integer scores of all classes, where images may have several. */
  readonly scores?: readonly number[];
  readonly float?: FloatRow;
}

/** The float model beside the integer one. */
export interface FloatRow {
  readonly prediction: number | null;
  readonly rank: number | null;
  /** Of the classes' scores, or of all numbers. */
  readonly scores: PairFigures;
  /** Output by output. */
  readonly outputs: readonly OutputFigures[];
}

export interface SkippedRow {
  readonly index: number;
  readonly path: string;
  readonly skipped: string;
}

/** The place of the best of an image's classes among all; null where it has none. */
export function rankOfLabel(logits: ArrayLike<number>, label: RowLabel): number | null {
  if (label === null) return null;
  if (typeof label === 'number') return rankOf(logits, label);
  return label.length === 0 ? null : Math.min(...label.map((one) => rankOf(logits, one)));
}

/**
 * @param float all numbers of the float model
 * @param reals those of the integer model, in real units
 */
export function floatRow(
  float: Float32Array,
  reals: Float64Array,
  outputs: readonly ModelOutput[],
  label: RowLabel,
): FloatRow {
  const classifier = classifierOf(outputs);
  const scores = classifier === null ? float : outputOf(float, classifier);
  const own = classifier === null ? reals : outputOf(reals, classifier);
  const figures = compareScores(scores, own);
  const isCompared = (output: ModelOutput) =>
    output.start === classifier?.start && outputSize(output) === scores.length;
  return {
    prediction: classifier === null ? null : argmax(scores),
    rank: classifier === null ? null : rankOfLabel(scores, label),
    scores: finite(figures),
    outputs: outputs.map((output) =>
      finite(compareOutput(float, reals, output, isCompared(output) ? figures : undefined)),
    ),
  };
}

/** JSON holds null for all numbers that are not finite: they are NaN, in rows that are kept and in others. */
export function finite<T extends object>(figures: T): T {
  const isOdd = (value: unknown) => value === null || (typeof value === 'number' && !Number.isFinite(value));
  return Object.fromEntries(Object.entries(figures).map(([key, value]) => [key, isOdd(value) ? NaN : value])) as T;
}
