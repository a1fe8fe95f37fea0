/** Which classes are taken for which. */

export interface Confused {
  /** Index of the class that the dataset says. */
  readonly label: number;
  /** Index of the class that the model decided for. */
  readonly prediction: number;
  readonly images: number;
}

export interface ClassAccuracy {
  readonly label: number;
  readonly images: number;
  readonly top1: number;
}

export class ConfusionMeter {
  private readonly counts = new Map<number, number>();

  constructor(private readonly classes: number) {}

  add(label: number, prediction: number): void {
    const cell = label * this.classes + prediction;
    this.counts.set(cell, (this.counts.get(cell) ?? 0) + 1);
  }

  /** Of each class that has images, in index order. */
  byClass(): ClassAccuracy[] {
    const found = new Map<number, { images: number; right: number }>();
    for (const { label, prediction, images } of this.cells()) {
      const one = found.get(label) ?? { images: 0, right: 0 };
      found.set(label, { images: one.images + images, right: one.right + (label === prediction ? images : 0) });
    }
    return [...found]
      .map(([label, { images, right }]) => ({ label, images, top1: right / images }))
      .sort((a, b) => a.label - b.label);
  }

  /** The `count` pairs of classes that are confused most, most first. */
  confused(count: number): Confused[] {
    return this.cells()
      .filter(({ label, prediction }) => label !== prediction)
      .sort((a, b) => b.images - a.images || a.label - b.label || a.prediction - b.prediction)
      .slice(0, count);
  }

  /** How many images of the class `label` were taken for each class. */
  row(label: number): number[] {
    return Array.from({ length: this.classes }, (_, i) => this.counts.get(label * this.classes + i) ?? 0);
  }

  private cells(): Confused[] {
    return [...this.counts].map(([cell, images]) => ({
      label: Math.floor(cell / this.classes),
      prediction: cell % this.classes,
      images,
    }));
  }
}
