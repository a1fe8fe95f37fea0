/** The float model's passes over the images: what one scheme has gathered serves others that observe the same. */
import type { Collected } from '../calibrate/collect.js';

/** Passes over the same images of the same model with the same effort and way to choose ranges. */
export class FloatPasses {
  private readonly made = new Map<boolean, Promise<Collected>>();

  /**
   * @param separates whether the rows that the output reads have layers of their own: all that tells passes apart
   * @param make what makes the pass where there is none yet
   */
  get(separates: boolean, make: () => Promise<Collected>): Promise<Collected> {
    const known = this.made.get(separates) ?? make();
    this.made.set(separates, known);
    return known;
  }

  async close(): Promise<void> {
    const passes = await Promise.allSettled(this.made.values());
    for (const pass of passes) if (pass.status === 'fulfilled') pass.value.samples.close();
    this.made.clear();
  }
}
