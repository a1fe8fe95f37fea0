/** Top-1 and top-5 accuracy: the share of images whose class has the largest logit, or one of the five largest. */
export interface Accuracy {
  readonly images: number;
  readonly top1: number;
  readonly top5: number;
}

/** So many of the largest are found in one pass, without sorting all. */
const FEW = 32;

export class AccuracyMeter {
  private images = 0;
  private first = 0;
  private firstFive = 0;

  add(logits: ArrayLike<number>, label: number): void {
    this.addRank(rankOf(logits, label));
  }

  /** @param rank how many classes come before the image's own */
  addRank(rank: number): void {
    this.images++;
    if (rank < 1) this.first++;
    if (rank < 5) this.firstFive++;
  }

  result(): Accuracy {
    const { images } = this;
    return { images, top1: this.first / images, top5: this.firstFive / images };
  }
}

/** How many classes come before `label`. Of equal logits the lowest index comes first. */
export function rankOf(logits: ArrayLike<number>, label: number): number {
  const own = logits[label];
  let before = 0;
  for (let i = 0; i < logits.length; i++) {
    if (logits[i] > own || (logits[i] === own && i < label)) before++;
  }
  return before;
}

/** The indices of the `count` largest logits, largest first. Of equal ones the lowest index comes first. */
export function topIndices(logits: ArrayLike<number>, count: number): number[] {
  const comesBefore = (a: number, b: number): number => logits[b] - logits[a] || a - b;
  if (count > FEW)
    return Array.from(logits, (_, i) => i)
      .sort(comesBefore)
      .slice(0, count);
  const best: number[] = [];
  for (let i = 0; i < logits.length; i++) {
    if (best.length === count && !(logits[i] > logits[best[count - 1]])) continue;
    if (best.length === count) best.pop();
    let at = best.length;
    while (at > 0 && logits[i] > logits[best[at - 1]]) at--;
    best.splice(at, 0, i);
  }
  return best;
}
