/** How well a multi-label classifier ranks the images of each class. */

/** Takes the scores of one image at a time; keeps them all: average precision ranks all images. */
export class AveragePrecisionMeter {
  private readonly scores: Int32Array[] = [];
  private readonly labels: (readonly number[])[] = [];

  add(scores: ArrayLike<number>, labels: readonly number[]): void {
    this.scores.push(Int32Array.from(scores));
    this.labels.push(labels);
  }

  /** Mean of the average precision of all classes that an image has; null where none has one. */
  result(): number | null {
    const present = [...new Set(this.labels.flat())];
    if (present.length === 0) return null;
    return present.reduce((sum, index) => sum + this.ofClass(index), 0) / present.length;
  }

  private ofClass(index: number): number {
    const has = this.labels.map((labels) => labels.includes(index));
    return averagePrecision(
      Float64Array.from(this.scores, (scores) => scores[index]),
      has,
    );
  }
}

/**
 * Σ (R_n − R_{n−1})·P_n over the distinct scores, highest first, with precision P_n and recall R_n of all
 * images of at least that score: without interpolation, and the same in any order of equal scores.
 */
export function averagePrecision(scores: ArrayLike<number>, isPositive: readonly boolean[]): number {
  const order = isPositive.map((_, i) => i).sort((a, b) => scores[b] - scores[a]);
  const positives = isPositive.filter(Boolean).length;
  let [found, before, sum] = [0, 0, 0];
  order.forEach((image, i) => {
    if (isPositive[image]) found++;
    const isLastOfScore = i + 1 === order.length || scores[order[i + 1]] !== scores[image];
    if (!isLastOfScore) return;
    sum += ((found - before) / positives) * (found / (i + 1));
    before = found;
  });
  return sum;
}
