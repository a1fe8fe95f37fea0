/** Distances of approximated numbers from exact ones. */
export class ErrorMeter {
  #count = 0;
  #sum = 0;
  #most = 0;
  #signal = 0;
  #noise = 0;

  /** @param times how often the pair occurs */
  add(exact: number, approximate: number, times = 1): void {
    const error = Math.abs(exact - approximate);
    this.#count += times;
    this.#sum += times * error;
    this.#most = Math.max(this.#most, error);
    this.#signal += times * exact * exact;
    this.#noise += times * error * error;
  }

  result(): { meanError: number; maxError: number; sqnrDb: number } {
    return {
      meanError: this.#sum / this.#count,
      maxError: this.#most,
      sqnrDb: 10 * Math.log10(this.#signal / this.#noise),
    };
  }
}
