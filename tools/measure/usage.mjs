// Loaded with --import: writes the process's peak memory in bytes, and the seconds of processor time that it took, as
// JSON to the file named in IVIT_USAGE when it ends.
import { writeFileSync } from 'node:fs';

process.on('exit', () => {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  const usage = { peak: maxRSS * 1024, cpuSeconds: (userCPUTime + systemCPUTime) / 1e6 };
  writeFileSync(process.env.IVIT_USAGE, JSON.stringify(usage));
});
