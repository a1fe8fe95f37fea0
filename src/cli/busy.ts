/** Says so where other programs kept the machine busy while something was timed. */
import { percent, warn } from './render.js';

/** Share of the processors' time from which other programs disturb what is measured. */
const BUSY = 0.1;

/** @param othersShare what `watchOthers` gives */
export function warnIfBusy(othersShare: number | null): void {
  if (othersShare === null || othersShare <= BUSY) return;
  warn(
    `other programs took ${percent(othersShare, 0)} of the processors meanwhile: all times are too long, and ` +
      'vary; measure again when they are done',
  );
}
