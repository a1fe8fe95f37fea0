import { softmax } from './agreement.js';

/** How a classifier does on some images, of which the classes are not known. */
export interface Decisiveness {
  /** Mean probability of the first class, 0 to 1. */
  readonly confidence: number;
  /**
   * How much the images' classes tell of the images, in nats: the entropy of the mean prediction less the mean entropy
   * of a prediction. High for a model that is sure, and of different things; 0 for one that always says the same.
   */
  readonly information: number;
}

/** Below this share of the most that the images could tell, a model is sure of nothing. */
const LITTLE = 0.2;

/** @param images the logits of each */
export function decisiveness(images: readonly ArrayLike<number>[]): Decisiveness {
  const predictions = images.map((logits) => softmax(logits, 1));
  const average = new Float64Array(predictions[0]!.length);
  for (const one of predictions) one.forEach((p, i) => (average[i]! += p / predictions.length));
  const meanOf = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
  return {
    confidence: meanOf(predictions.map((one) => one.reduce((a, b) => Math.max(a, b)))),
    information: entropy(average) - meanOf(predictions.map(entropy)),
  };
}

/** Whether the predictions of some images tell next to nothing of them. */
export function isIndecisive(
  { information }: Pick<Decisiveness, 'information'>,
  classes: number,
  images: number,
): boolean {
  return information < LITTLE * Math.log(Math.min(classes, images));
}

function entropy(p: Float64Array): number {
  return p.reduce((sum, x) => (x > 0 ? sum - x * Math.log(x) : sum), 0);
}
