/** Whether an accuracy is one that guessing gives. */

/** Standard deviations above chance from which an accuracy is no guess. */
const SIGMAS = 3;
/** Fewer images tell nothing. */
const LEAST_IMAGES = 20;

/**
 * True where `images` images, of which the share `top1` was classified rightly, look as if the `classes` classes were
 * guessed: within 3 standard deviations of the binomial distribution, and less than half of them right.
 */
export function isNearChance(top1: number, images: number, classes: number): boolean {
  if (images < LEAST_IMAGES || classes < 2 || top1 >= 0.5) return false;
  const chance = 1 / classes;
  return top1 <= chance + SIGMAS * Math.sqrt((chance * (1 - chance)) / images);
}
