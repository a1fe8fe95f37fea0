/** How busy other programs keep the machine while something is measured. */
import { cpus } from 'node:os';

/** Milliseconds of all processors: worked, and gone by. */
function processorTimes(): { busy: number; all: number } {
  let busy = 0;
  let all = 0;
  for (const { times } of cpus()) {
    const worked = times.user + times.nice + times.sys + times.irq;
    busy += worked;
    all += worked + times.idle;
  }
  return { busy, all };
}

/** @returns the share of all processors' time that other processes take until it is called; null: that is unknown */
export function watchOthers(): () => number | null {
  const before = processorTimes();
  const own = process.cpuUsage();
  return () => {
    const after = processorTimes();
    const { user, system } = process.cpuUsage(own);
    const all = after.all - before.all;
    if (all <= 0) return null; // some containers do not say
    return Math.max(0, after.busy - before.busy - (user + system) / 1000) / all;
  };
}
