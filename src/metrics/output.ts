/** What the numbers are that a model gives. */

/** One output of a model. The outputs lie end to end in the one value that the network computes. */
export interface ModelOutput {
  /** Its name in the float model's file. */
  readonly name: string;
  /** Of one image: the batch is left out. */
  readonly shape: readonly number[];
  /** Where its first number is in the value. Outputs that are read from the same numbers have the same. */
  readonly start: number;
  /** What the float model does to these numbers at last, first thing first: no part of the network, for display. */
  readonly tail: readonly TailStep[];
  /** Whether they are scores, one of each class. */
  readonly isClasses: boolean;
}

export const COMPARISONS = ['greater', 'greaterOrEqual', 'less', 'lessOrEqual'] as const;

export type Comparison = (typeof COMPARISONS)[number];

/** A last step of a float model. The axes are those of the output's own shape. */
export type TailStep =
  | { readonly op: 'sigmoid' }
  | { readonly op: 'softmax' | 'logSoftmax' | 'argMax'; readonly axis: number }
  /** 1 where the number compares so with `than`, a decimal number, else 0. */
  | { readonly op: Comparison; readonly than: string }
  /** `count` null: all, in order. */
  | { readonly op: 'topValues' | 'topIndices'; readonly axis: number; readonly count: number | null };

/** How many numbers an output has. */
export const outputSize = ({ shape }: Pick<ModelOutput, 'shape'>): number => shape.reduce((size, dim) => size * dim, 1);

/** An output's numbers in those of the whole value. */
export function outputOf<T extends Float32Array | Float64Array | Int32Array>(values: T, output: ModelOutput): T {
  return values.subarray(output.start, output.start + outputSize(output)) as T;
}

/** The outputs that lie in a value of their own: of those that are read from the same numbers the first. */
export function distinctOutputs(outputs: readonly ModelOutput[]): ModelOutput[] {
  return outputs.filter(({ start }, i) => outputs.findIndex((other) => other.start === start) === i);
}

/**
 * The output that classifies: the only class vector there is, else the only one called logits; null where there is none
 * or several and nothing tells them apart.
 */
export function classifierOf(outputs: readonly ModelOutput[]): ModelOutput | null {
  const vectors = distinctOutputs(outputs.filter(({ isClasses }) => isClasses));
  if (vectors.length < 2) return vectors[0] ?? null;
  return vectors.find(({ name }) => /^logits$/i.test(name)) ?? onlyOne(vectors, /(^|[^a-z])(class|cls)?_?logits$/i);
}

function onlyOne(outputs: readonly ModelOutput[], pattern: RegExp): ModelOutput | null {
  const found = outputs.filter(({ name }) => pattern.test(name));
  return found.length === 1 ? found[0] : null;
}

/** `last_hidden_state 17×32`, for people. */
export const describeOutput = ({ name, shape }: Pick<ModelOutput, 'name' | 'shape'>): string =>
  `${name} ${shape.length === 0 ? '1' : shape.join('×')}`;
