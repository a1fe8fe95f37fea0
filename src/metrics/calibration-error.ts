/** How far the confidence of a classifier is from its accuracy. */

const BINS = 15;

/**
 * Expected calibration error with 15 bins of equal width: Σ n_b/n · |accuracy_b − confidence_b|, of the first
 * class's probability (Guo et al., "On Calibration of Modern Neural Networks", 2017).
 */
export class CalibrationErrorMeter {
  private images = 0;
  private readonly right = new Float64Array(BINS);
  private readonly confidence = new Float64Array(BINS);

  add(probability: number, isRight: boolean): void {
    // A bin holds its upper end.
    const bin = Math.min(BINS - 1, Math.max(0, Math.ceil(probability * BINS) - 1));
    this.images++;
    this.confidence[bin] += probability;
    if (isRight) this.right[bin]++;
  }

  /** Null before the first image. */
  result(): number | null {
    if (this.images === 0) return null;
    const gap = this.right.reduce((sum, right, bin) => sum + Math.abs(right - this.confidence[bin]), 0);
    return gap / this.images;
  }
}
