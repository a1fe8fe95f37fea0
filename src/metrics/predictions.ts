import { labelText } from '../images/label-text.js';
import { topIndices } from './accuracy.js';
import { argmax, scaled, softmax } from './agreement.js';
import type { ModelOutput } from './output.js';

export interface Prediction {
  /** Index of the class. */
  readonly index: number;
  /** Its name, without a WordNet id in front; null where the model has no labels. */
  readonly label: string | null;
  /**
   * For display: softmax of the logits, or sigmoid of each where the float model ends in one, in floating point, after
   * all decisions have been made on integers.
   */
  readonly probability: number;
}

/** Integer, or of the float model. */
type Logits = Int32Array | Float32Array;

/** How many classes to tell, what they are called, and the real value of one unit of a logit. */
interface Ranking {
  readonly top: number;
  readonly labels: readonly string[] | null;
  readonly scale: number;
}

/** The first class, and its probability: what `rank` gives first, without ranking all. */
export function firstPrediction(
  output: Pick<ModelOutput, 'tail'>,
  logits: Int32Array,
  scale: number,
): Pick<Prediction, 'index' | 'probability'> {
  const index = argmax(logits);
  return { index, probability: probabilitiesOf(output, logits, scale)[index] };
}

function probabilitiesOf({ tail }: Pick<ModelOutput, 'tail'>, logits: Logits, scale: number): Float64Array {
  if (tail[0]?.op !== 'sigmoid') return softmax(logits, scale);
  return scaled(logits, scale).map((x) => 1 / (1 + Math.exp(-x)));
}

/** The most likely classes of a class vector, most likely first; of equal logits the lower index first. */
export function rank(output: Pick<ModelOutput, 'tail'>, logits: Logits, { top, labels, scale }: Ranking): Prediction[] {
  const probabilities = probabilitiesOf(output, logits, scale);
  return topIndices(logits, top).map((index) => ({
    index,
    label: labels?.[index] === undefined ? null : labelText(labels[index]),
    probability: probabilities[index],
  }));
}
